package org.pyimgret.nn;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;
import org.pyimgret.engine.WorkerGroup;

/** What a trained restricted Boltzmann machine says of visible or hidden values. */
public final class RbmInference {

    private static final int ROWS = 256;

    private final Rbm rbm;
    private final JsonNode imageSettings;
    private final int count;
    private final int workers;
    private final StopFlag stop = StopFlag.current();

    /**
     * Prepares a computation.
     *
     * @param s what {@link Rbm} needs and {@code images}, see {@link Images}
     */
    public RbmInference(JsonNode s) {
        rbm = new Rbm(s);
        imageSettings = Json.required(s, "images");
        count = Math.toIntExact(new Images(imageSettings).count());
        workers = Math.max(1, Math.min(WorkerGroup.threads(), count / 64));
    }

    /** One thread's memory: a block of rows on both sides. */
    private final class Block implements AutoCloseable {
        final Images images = new Images(imageSettings);
        final FloatPointer in = new FloatPointer((long) ROWS * images.size());
        final FloatPointer visible = new FloatPointer((long) ROWS * rbm.visible.units);
        final FloatPointer hidden = new FloatPointer((long) ROWS * rbm.hidden.units);
        final float[] row = new float[images.size()];

        FloatPointer of(Rbm.Side side) {
            return side == rbm.visible ? visible : hidden;
        }

        void read(FloatPointer to, int from, int rows) {
            for (int i = 0; i < rows; i++) {
                images.read(from + i, row);
                put(to, i, row);
            }
        }

        /** Gives the input of a side's units for a row, of which {@link Rbm.Side#inputs} made the products. */
        float[] input(Rbm.Side side, int i) {
            float[] x = get(of(side), i, side.units);
            for (int j = 0; j < x.length; j++) {
                x[j] += side.biases[j];
            }
            return x;
        }

        /** Draws the states of a side's units, given those of the other side. */
        void draw(Rbm.Side side, int from, int rows, long seed) {
            side.inputs(of(side.other()), of(side), rows);
            for (int i = 0; i < rows; i++) {
                float[] x = input(side, i);
                if (!side.unit.drawsFromInput()) {
                    side.unit.mean(x, side.units);
                }
                float[] state = new float[side.units];
                side.unit.sample(x, state, side.units, Seeds.mix(seed, from + i), 0);
                put(of(side), i, state);
            }
        }

        @Override
        public void close() {
            in.close();
            visible.close();
            hidden.close();
        }
    }

    private static float[] get(FloatPointer from, int row, int n) {
        float[] values = new float[n];
        from.position((long) row * n).get(values);
        from.position(0);
        return values;
    }

    private static void put(FloatPointer to, long row, float[] values) {
        to.position(row * values.length).put(values, 0, values.length);
        to.position(0);
    }

    /** What is done with the rows {@code from} to {@code from + rows}. */
    private interface Task {
        void run(Block block, int from, int rows);
    }

    private void forBlocks(Task task) {
        try (WorkerGroup group = new WorkerGroup(workers)) {
            BlasThreads.run(group, worker -> forBlocks(worker, task));
        }
    }

    private void forBlocks(int worker, Task task) {
        int end = (int) ((long) count * (worker + 1) / workers);
        try (Block block = new Block()) {
            for (int from = (int) ((long) count * worker / workers); from < end; from += ROWS) {
                stop.check();
                task.run(block, from, Math.min(ROWS, end - from));
            }
        }
    }

    /**
     * Computes the hidden units' means.
     *
     * @param out address of count x hidden float32
     */
    public void hidden(long out) {
        means(rbm.hidden, out);
    }

    /**
     * Computes the visible units' means, from hidden values.
     *
     * @param out address of count x visible float32
     */
    public void visible(long out) {
        means(rbm.visible, out);
    }

    private void means(Rbm.Side side, long out) {
        forBlocks((block, from, rows) -> {
            block.read(block.in, from, rows);
            side.inputs(block.in, block.of(side), rows);
            FloatPointer to = Memory.floats(out, (long) count * side.units);
            for (int i = 0; i < rows; i++) {
                float[] x = block.input(side, i);
                side.unit.mean(x, side.units);
                put(to, (long) from + i, x);
            }
        });
    }

    /**
     * Runs block Gibbs sampling from visible values; every row is a chain of its own.
     *
     * @param steps how many times hidden and visible units are drawn, at least 1
     * @param seed of all that is random
     * @param out address of count x visible float32
     */
    public void gibbs(int steps, long seed, long out) {
        forBlocks((block, from, rows) -> {
            block.read(block.visible, from, rows);
            for (int step = 0; step < steps; step++) {
                stop.check();
                block.draw(rbm.hidden, from, rows, Seeds.mix(seed, 2L * step));
                block.draw(rbm.visible, from, rows, Seeds.mix(seed, 2L * step + 1));
            }
            FloatPointer to = Memory.floats(out, (long) count * rbm.visible.units);
            for (int i = 0; i < rows; i++) {
                put(to, (long) from + i, get(block.visible, i, rbm.visible.units));
            }
        });
    }

    /**
     * Computes free energies: -v b - sum of the hidden units' {@link Unit#energy}, and for Gaussian
     * visible units |v - b|^2 / 2 in place of -v b.
     *
     * @param out address of count float64
     */
    public void freeEnergy(long out) {
        forBlocks((block, from, rows) -> {
            DoublePointer to = Memory.doubles(out, count);
            block.read(block.in, from, rows);
            rbm.hidden.inputs(block.in, block.hidden, rows);
            for (int i = 0; i < rows; i++) {
                double energy = visibleEnergy(get(block.in, i, rbm.visible.units));
                for (float x : block.input(rbm.hidden, i)) {
                    energy -= rbm.hidden.unit.energy(x);
                }
                to.put(from + i, energy);
            }
        });
    }

    private double visibleEnergy(float[] v) {
        double sum = 0;
        for (int i = 0; i < v.length; i++) {
            double d = (double) v[i] - rbm.visible.biases[i];
            sum += rbm.visible.unit == Unit.GAUSSIAN ? d * d / 2 : -(double) v[i] * rbm.visible.biases[i];
        }
        return sum;
    }
}
