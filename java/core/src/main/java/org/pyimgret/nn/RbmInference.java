package org.pyimgret.nn;

import java.util.function.IntConsumer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;
import org.pyimgret.nn.engine.Crew;
import org.pyimgret.nn.engine.StopFlag;

/** What a trained restricted Boltzmann machine says of visible or hidden values. */
public final class RbmInference {

    private static final int ROWS = 256;

    private final Rbm rbm;
    private final JsonNode imageSettings;
    private final int count;
    private final int workers;
    private final StopFlag stop = StopFlag.current();
    private final float[] hiddenBias;
    private final float[] visibleBias;

    /**
     * Prepares a computation.
     *
     * @param s what {@link Rbm} needs and {@code images}, see {@link Images}
     */
    public RbmInference(JsonNode s) {
        rbm = new Rbm(s);
        imageSettings = Json.required(s, "images");
        count = Math.toIntExact(new Images(imageSettings).count());
        workers = Math.max(1, Math.min(Crew.threads(), count / 64));
        hiddenBias = new float[rbm.hidden];
        visibleBias = new float[rbm.visible];
        rbm.hiddenBias.get(hiddenBias);
        rbm.visibleBias.get(visibleBias);
    }

    /** One thread's memory: a block of rows on both sides. */
    private final class Block implements AutoCloseable {
        final Images images = new Images(imageSettings);
        final FloatPointer in = new FloatPointer((long) ROWS * images.size());
        final FloatPointer visible = new FloatPointer((long) ROWS * rbm.visible);
        final FloatPointer hidden = new FloatPointer((long) ROWS * rbm.hidden);
        final float[] row = new float[images.size()];
        final float[] v = new float[rbm.visible];
        final float[] h = new float[rbm.hidden];

        void read(FloatPointer to, int from, int rows) {
            for (int i = 0; i < rows; i++) {
                images.read(from + i, row);
                to.position((long) i * row.length).put(row, 0, row.length);
            }
            to.position(0);
        }

        /** Leaves the inputs of the hidden units, without their biases, in {@link #hidden}. */
        void up(FloatPointer from, int rows) {
            rbm.toHidden(rbm.weights, rbm.hidden, from, hidden, rows);
        }

        void down(FloatPointer from, int rows) {
            rbm.toVisible(rbm.weights, rbm.visible, from, visible, rows);
        }

        void readHidden(int i) {
            hidden.position((long) i * h.length).get(h, 0, h.length);
            hidden.position(0);
            add(h, hiddenBias);
        }

        void readVisible(int i) {
            visible.position((long) i * v.length).get(v, 0, v.length);
            visible.position(0);
            add(v, visibleBias);
        }

        @Override
        public void close() {
            in.close();
            visible.close();
            hidden.close();
        }
    }

    /** What is done with the rows {@code from} to {@code from + rows}. */
    private interface Task {
        void run(Block block, int from, int rows);
    }

    private void forBlocks(Task task) {
        try (Crew crew = new Crew(workers)) {
            crew.run(place -> forBlocks(place, task));
        }
    }

    private void forBlocks(int place, Task task) {
        int end = (int) ((long) count * (place + 1) / workers);
        try (Block block = new Block()) {
            for (int from = (int) ((long) count * place / workers); from < end; from += ROWS) {
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
        forBlocks((block, from, rows) -> {
            block.read(block.in, from, rows);
            block.up(block.in, rows);
            FloatPointer to = Memory.floats(out, (long) count * rbm.hidden);
            each(rows, i -> {
                block.readHidden(i);
                rbm.hiddenUnit.mean(block.h, rbm.hidden);
                to.position((long) (from + i) * rbm.hidden).put(block.h, 0, rbm.hidden);
            });
        });
    }

    /**
     * Computes the visible units' means, from hidden values.
     *
     * @param out address of count x visible float32
     */
    public void visible(long out) {
        forBlocks((block, from, rows) -> {
            block.read(block.in, from, rows);
            block.down(block.in, rows);
            FloatPointer to = Memory.floats(out, (long) count * rbm.visible);
            each(rows, i -> {
                block.readVisible(i);
                rbm.visibleUnit.mean(block.v, rbm.visible);
                to.position((long) (from + i) * rbm.visible).put(block.v, 0, rbm.visible);
            });
        });
    }

    /**
     * Runs block Gibbs sampling from visible values; every row is a chain of its own.
     *
     * @param steps how many times hidden and visible units are drawn, at least 1
     * @param seed of all chance
     * @param out address of count x visible float32
     */
    public void gibbs(int steps, long seed, long out) {
        forBlocks((block, from, rows) -> {
            block.read(block.visible, from, rows);
            for (int step = 0; step < steps; step++) {
                stop.check();
                long hiddenSeed = Chance.mix(seed, 2L * step);
                block.up(block.visible, rows);
                each(rows, i -> drawHidden(block, i, Chance.mix(hiddenSeed, from + i)));
                long visibleSeed = Chance.mix(seed, 2L * step + 1);
                block.down(block.hidden, rows);
                each(rows, i -> drawVisible(block, i, Chance.mix(visibleSeed, from + i)));
            }
            FloatPointer to = Memory.floats(out, (long) count * rbm.visible);
            each(rows, i -> {
                block.visible.position((long) i * rbm.visible).get(block.v);
                to.position((long) (from + i) * rbm.visible).put(block.v, 0, rbm.visible);
            });
        });
    }

    private void drawHidden(Block block, int i, long seed) {
        block.readHidden(i);
        if (!rbm.hiddenUnit.drawsFromInput()) {
            rbm.hiddenUnit.mean(block.h, rbm.hidden);
        }
        float[] state = new float[rbm.hidden];
        rbm.hiddenUnit.sample(block.h, state, rbm.hidden, seed, 0);
        block.hidden.position((long) i * rbm.hidden).put(state, 0, rbm.hidden);
        block.hidden.position(0);
    }

    private void drawVisible(Block block, int i, long seed) {
        block.readVisible(i);
        rbm.visibleUnit.mean(block.v, rbm.visible);
        float[] state = new float[rbm.visible];
        rbm.visibleUnit.sample(block.v, state, rbm.visible, seed, 0);
        block.visible.position((long) i * rbm.visible).put(state, 0, rbm.visible);
        block.visible.position(0);
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
            block.up(block.in, rows);
            each(rows, i -> {
                block.readHidden(i);
                block.images.read(from + i, block.row);
                to.put(from + i, visibleEnergy(block.row) - hiddenEnergy(block.h));
            });
        });
    }

    private double visibleEnergy(float[] v) {
        double sum = 0;
        for (int i = 0; i < v.length; i++) {
            double d = (double) v[i] - visibleBias[i];
            sum += rbm.visibleUnit == Unit.GAUSSIAN ? d * d / 2 : -(double) v[i] * visibleBias[i];
        }
        return sum;
    }

    private double hiddenEnergy(float[] x) {
        double sum = 0;
        for (float value : x) {
            sum += rbm.hiddenUnit.energy(value);
        }
        return sum;
    }

    private static void each(int rows, IntConsumer row) {
        for (int i = 0; i < rows; i++) {
            row.accept(i);
        }
    }

    private static void add(float[] to, float[] values) {
        for (int i = 0; i < to.length; i++) {
            to[i] += values[i];
        }
    }
}
