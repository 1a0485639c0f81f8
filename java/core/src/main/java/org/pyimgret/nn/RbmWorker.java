package org.pyimgret.nn;

import static org.bytedeco.openblas.global.openblas_nolapack.CblasColMajor;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_sgemm;

import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.pyimgret.engine.WorkerGroup;

/**
 * One thread's share of contrastive divergence: some hidden and some visible units.
 *
 * <p>It makes its units' values in every step, and alone changes its hidden units' weights and
 * biases. The workers meet where one reads what another wrote: after the hidden states are drawn,
 * and after the visible units are reconstructed. Nothing is allocated after the constructor.
 */
final class RbmWorker {

    /** Floats that go through the first-level cache at once in the update. */
    private static final int PIECE = 2048;

    private static final int DATA = 0;

    private final RbmTrainer t;
    private final Rbm rbm;
    private final WorkerGroup group;
    private final int place;
    private final Images images;
    private final Share hidden;
    private final Share visible;

    private final FloatPointer velocityRows;
    private final FloatPointer dataStatistics;
    private final FloatPointer[] visibleOut = new FloatPointer[2];
    private final FloatPointer[] model = new FloatPointer[2];
    private final FloatPointer statisticsOut;
    private final FloatBuffer[] visibles = new FloatBuffer[2];
    private final FloatBuffer statistics;
    private final FloatBuffer states;
    private final FloatBuffer weights;
    private final FloatBuffer velocity;

    private final float[] row;
    private final float[] x;
    private final float[] other;
    private final float[] state;
    private final float[] activity;
    private final float[] squares;
    private final float[] w = new float[PIECE];
    private final float[] m = new float[PIECE];

    /** This worker's units of a side, what it learns of them, and what the batch sums up to. */
    private final class Share {
        final int from;
        final int to;
        final FloatPointer weights;
        final float[] bias;
        final float[] velocity;
        final float[] sum;
        private final Rbm.Side side;
        private final FloatPointer velocities;

        Share(Rbm.Side side, FloatPointer velocities) {
            this.side = side;
            this.velocities = velocities;
            from = (int) group.first(place, side.units);
            to = (int) group.first(place + 1, side.units);
            weights = side.weights(from);
            bias = read(side.bias, from, to);
            velocity = read(velocities, from, to);
            sum = new float[bias.length];
        }

        /** Moves the biases along the sums. */
        void move(float rate) {
            for (int i = 0; i < bias.length; i++) {
                velocity[i] = t.momentum * velocity[i] + rate * sum[i];
                bias[i] += velocity[i];
            }
        }

        void writeBack() {
            write(bias, side.bias, from);
            write(velocity, velocities, from);
        }
    }

    RbmWorker(RbmTrainer trainer, int place, WorkerGroup group) {
        this.t = trainer;
        this.rbm = trainer.rbm;
        this.group = group;
        this.place = place;
        this.images = trainer.images();
        hidden = new Share(rbm.hidden, t.hiddenVelocity);
        visible = new Share(rbm.visible, t.visibleVelocity);
        velocityRows = Rbm.from(t.weightVelocity, (long) hidden.from * rbm.visible.units);
        dataStatistics = Rbm.from(t.statistics, hidden.from);
        statisticsOut = new FloatPointer(t.statistics);
        for (int i = 0; i < 2; i++) {
            visibles[i] = t.visibles[i].asBuffer();
            visibleOut[i] = new FloatPointer(t.visibles[i]);
            model[i] = new FloatPointer(t.visibles[i]);
        }
        statistics = t.statistics.asBuffer();
        states = t.states.asBuffer();
        weights = rbm.weights.asBuffer();
        velocity = t.weightVelocity.asBuffer();
        int widest = Math.max(hidden.bias.length, visible.bias.length);
        row = new float[rbm.visible.units];
        x = new float[widest];
        other = new float[widest];
        state = new float[widest];
        activity = t.sparse ? read(t.activity, hidden.from, hidden.to) : new float[0];
        squares = new float[visible.bias.length];
    }

    private static float[] read(FloatPointer values, int from, int to) {
        float[] out = new float[to - from];
        Rbm.from(values, from).get(out);
        return out;
    }

    private static void write(float[] in, FloatPointer values, int from) {
        Rbm.from(values, from).put(in, 0, in.length);
    }

    /** Runs through the epoch's batches. */
    void run() {
        load(0);
        group.await();
        for (int batch = 0; batch < t.batches(); batch++) {
            fromData(batch);
            group.await();
            load(batch + 1);
            for (int step = 1; step <= t.k; step++) {
                reconstruct(batch, step);
                if (place == 0 && step == t.k) {
                    t.lookForStop();
                }
                group.await();
                fromModel(batch, step);
                if (step < t.k) {
                    group.await();
                }
            }
            boolean goesOn = t.goesOn();
            if (place == 0) {
                t.report(batch);
            }
            update(batch);
            if (!goesOn) {
                break;
            }
        }
        writeBack();
    }

    /** Copies this thread's share of a batch's rows out of the data. */
    private void load(int batch) {
        if (batch >= t.batches()) {
            return;
        }
        int rows = t.rows(batch);
        FloatBuffer to = visibles[batch & 1];
        for (int i = rows * place / group.size; i < rows * (place + 1) / group.size; i++) {
            images.read(t.order[batch * t.batchSize + i], row);
            put(to, i * rbm.visible.units, row, row.length);
        }
    }

    /** The positive side: hidden units driven by the data. */
    private void fromData(int batch) {
        int n = hidden.bias.length;
        int rows = t.rows(batch);
        rbm.hidden.inputs(hidden.weights, n, t.visibles[batch & 1], dataStatistics, rows);
        Arrays.fill(hidden.sum, 0);
        long seed = t.seed(batch, DATA);
        for (int i = 0; i < rows; i++) {
            int at = i * rbm.hidden.units + hidden.from;
            get(statistics, at, x, n);
            float[] statistic = hidden(x, n, !t.persistent, Seeds.mix(seed, i));
            add(hidden.sum, statistic, n);
            put(statistics, at, statistic, n);
            if (!t.persistent) {
                put(states, at, state, n);
            }
        }
        if (t.sparse) {
            sparsify(rows);
        }
    }

    /** Turns inputs into the statistic, which it returns, and draws states where they are needed. */
    private float[] hidden(float[] input, int n, boolean draw, long seed) {
        add(input, hidden.bias, n);
        if (rbm.hidden.unit.drawsFromInput()) {
            rbm.hidden.unit.sample(input, state, n, seed, hidden.from);
            return state;
        }
        rbm.hidden.unit.mean(input, n);
        if (draw) {
            rbm.hidden.unit.sample(input, state, n, seed, hidden.from);
        }
        return input;
    }

    /**
     * Adds cost x (target - activity) to every example's statistic: the gradient of the cross-entropy
     * between the target and the running mean (Hinton 2010, section 11) in biases and weights.
     */
    private void sparsify(int rows) {
        int n = hidden.bias.length;
        for (int j = 0; j < n; j++) {
            float mean = hidden.sum[j] / rows;
            activity[j] = t.sparsityDecay * activity[j] + (1 - t.sparsityDecay) * mean;
            other[j] = t.sparsityCost * (t.sparsityTarget - activity[j]);
            hidden.sum[j] += rows * other[j];
        }
        for (int i = 0; i < rows; i++) {
            int at = i * rbm.hidden.units + hidden.from;
            get(statistics, at, x, n);
            add(x, other, n);
            put(statistics, at, x, n);
        }
    }

    /** Visible units driven by the hidden states. */
    private void reconstruct(int batch, int step) {
        int n = visible.bias.length;
        int rows = t.modelRows(batch);
        long first = (long) t.rows(batch) * rbm.visible.units;
        FloatPointer out = visibleOut[batch & 1].position(first + visible.from);
        rbm.visible.inputs(visible.weights, n, t.states, out, rows);
        long seed = t.seed(batch, 2 * step - 1);
        if (step == 1) {
            Arrays.fill(squares, 0);
        }
        boolean last = step == t.k;
        if (last) {
            sumData(batch);
        }
        float scale = -(float) t.rows(batch) / rows;
        FloatBuffer buffer = visibles[batch & 1];
        for (int i = 0; i < rows; i++) {
            int at = (int) first + i * rbm.visible.units + visible.from;
            get(buffer, at, x, n);
            add(x, visible.bias, n);
            rbm.visible.unit.mean(x, n);
            if (step == 1) {
                measure(buffer, i, n);
            }
            float[] value = x;
            if (t.sampleVisible) {
                rbm.visible.unit.sample(x, state, n, Seeds.mix(seed, i), visible.from);
                value = state;
            }
            if (last) {
                addScaled(visible.sum, value, scale, n);
            }
            put(buffer, at, value, n);
        }
        if (step == 1) {
            t.distances[place] = sum(squares);
        }
    }

    private void sumData(int batch) {
        Arrays.fill(visible.sum, 0);
        for (int i = 0; i < t.rows(batch); i++) {
            get(visibles[batch & 1], i * rbm.visible.units + visible.from, other, visible.sum.length);
            add(visible.sum, other, visible.sum.length);
        }
    }

    private void measure(FloatBuffer buffer, int i, int n) {
        if (t.persistent) {
            Arrays.fill(other, 0);
        } else {
            get(buffer, i * rbm.visible.units + visible.from, other, n);
        }
        for (int j = 0; j < n; j++) {
            float d = other[j] - x[j];
            squares[j] += d * d;
        }
    }

    /** The negative side: hidden units driven by the reconstruction. */
    private void fromModel(int batch, int step) {
        int n = hidden.bias.length;
        int rows = t.modelRows(batch);
        int first = t.rows(batch);
        FloatPointer v = model[batch & 1].position((long) first * rbm.visible.units);
        FloatPointer out = statisticsOut.position((long) first * rbm.hidden.units + hidden.from);
        rbm.hidden.inputs(hidden.weights, n, v, out, rows);
        boolean last = step == t.k;
        boolean draw = !last || t.persistent;
        float scale = -(float) first / rows;
        long seed = t.seed(batch, 2 * step);
        for (int i = 0; i < rows; i++) {
            int at = (first + i) * rbm.hidden.units + hidden.from;
            get(statistics, at, x, n);
            float[] statistic = hidden(x, n, draw, Seeds.mix(seed, i));
            if (draw) {
                put(states, i * rbm.hidden.units + hidden.from, state, n);
            }
            if (last) {
                for (int j = 0; j < n; j++) {
                    other[j] = scale * statistic[j];
                }
                add(hidden.sum, other, n);
                put(statistics, at, other, n);
            }
        }
    }

    /** Moves this thread's weights and biases: momentum, gradient, decay of the weights. */
    private void update(int batch) {
        int rows = t.rows(batch);
        int inner = rows + t.modelRows(batch);
        float rate = t.learningRate / rows;
        cblas_sgemm(
                CblasColMajor,
                CblasNoTrans,
                CblasTrans,
                rbm.visible.units,
                hidden.bias.length,
                inner,
                rate,
                t.visibles[batch & 1],
                rbm.visible.units,
                dataStatistics,
                rbm.hidden.units,
                t.momentum,
                velocityRows,
                rbm.visible.units);
        moveWeights();
        hidden.move(rate);
        visible.move(rate);
    }

    private void moveWeights() {
        float decay = t.learningRate * t.weightDecay;
        int end = hidden.to * rbm.visible.units;
        for (int at = hidden.from * rbm.visible.units; at < end; at += PIECE) {
            int n = Math.min(PIECE, end - at);
            get(weights, at, w, n);
            get(velocity, at, m, n);
            for (int i = 0; i < n; i++) {
                m[i] -= decay * w[i];
                w[i] += m[i];
            }
            put(weights, at, w, n);
            if (decay != 0) {
                put(velocity, at, m, n);
            }
        }
    }

    private void writeBack() {
        hidden.writeBack();
        visible.writeBack();
        if (t.sparse) {
            write(activity, t.activity, hidden.from);
        }
    }

    private static void add(float[] to, float[] values, int n) {
        for (int i = 0; i < n; i++) {
            to[i] += values[i];
        }
    }

    private static void addScaled(float[] to, float[] values, float scale, int n) {
        for (int i = 0; i < n; i++) {
            to[i] += scale * values[i];
        }
    }

    private static double sum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum;
    }

    private static void get(FloatBuffer from, int at, float[] to, int n) {
        from.position(at);
        from.get(to, 0, n);
    }

    private static void put(FloatBuffer to, int at, float[] values, int n) {
        to.position(at);
        to.put(values, 0, n);
    }
}
