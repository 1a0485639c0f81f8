package org.pyimgret.nn;

import static org.bytedeco.openblas.global.openblas_nolapack.CblasColMajor;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_sgemm;

import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.pyimgret.nn.engine.Crew;

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
    private final Crew crew;
    private final int place;
    private final Images images;
    private final int hiddenFrom;
    private final int hiddenTo;
    private final int visibleFrom;
    private final int visibleTo;

    private final FloatPointer weightRows;
    private final FloatPointer weightColumns;
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
    private final float[] hiddenBias;
    private final float[] hiddenVelocity;
    private final float[] hiddenSum;
    private final float[] activity;
    private final float[] visibleBias;
    private final float[] visibleVelocity;
    private final float[] visibleSum;
    private final float[] squares;
    private final float[] w = new float[PIECE];
    private final float[] m = new float[PIECE];

    RbmWorker(RbmTrainer trainer, int place, Crew crew) {
        this.t = trainer;
        this.rbm = trainer.rbm;
        this.crew = crew;
        this.place = place;
        this.images = trainer.images();
        hiddenFrom = crew.from(place, rbm.hidden);
        hiddenTo = crew.to(place, rbm.hidden);
        visibleFrom = crew.from(place, rbm.visible);
        visibleTo = crew.to(place, rbm.visible);
        long first = (long) hiddenFrom * rbm.visible;
        weightRows = Rbm.from(rbm.weights, first);
        weightColumns = Rbm.from(rbm.weights, visibleFrom);
        velocityRows = Rbm.from(t.weightVelocity, first);
        dataStatistics = Rbm.from(t.statistics, hiddenFrom);
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
        int widest = Math.max(hiddenTo - hiddenFrom, visibleTo - visibleFrom);
        row = new float[rbm.visible];
        x = new float[widest];
        other = new float[widest];
        state = new float[widest];
        hiddenBias = read(rbm.hiddenBias, hiddenFrom, hiddenTo);
        hiddenVelocity = read(t.hiddenVelocity, hiddenFrom, hiddenTo);
        activity = t.sparse ? read(t.activity, hiddenFrom, hiddenTo) : new float[0];
        visibleBias = read(rbm.visibleBias, visibleFrom, visibleTo);
        visibleVelocity = read(t.visibleVelocity, visibleFrom, visibleTo);
        hiddenSum = new float[hiddenBias.length];
        visibleSum = new float[visibleBias.length];
        squares = new float[visibleBias.length];
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
        crew.await();
        for (int batch = 0; batch < t.batches(); batch++) {
            fromData(batch);
            crew.await();
            load(batch + 1);
            for (int step = 1; step <= t.k; step++) {
                reconstruct(batch, step);
                if (place == 0 && step == t.k) {
                    t.lookForStop();
                }
                crew.await();
                fromModel(batch, step);
                if (step < t.k) {
                    crew.await();
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
        for (int i = rows * place / crew.size; i < rows * (place + 1) / crew.size; i++) {
            images.read(t.order[batch * t.batchSize + i], row);
            put(to, i * rbm.visible, row, row.length);
        }
    }

    /** The positive side: hidden units driven by the data. */
    private void fromData(int batch) {
        int n = hiddenBias.length;
        int rows = t.rows(batch);
        rbm.toHidden(weightRows, n, t.visibles[batch & 1], dataStatistics, rows);
        Arrays.fill(hiddenSum, 0);
        long seed = t.seed(batch, DATA);
        for (int i = 0; i < rows; i++) {
            int at = i * rbm.hidden + hiddenFrom;
            get(statistics, at, x, n);
            float[] statistic = hidden(x, n, !t.persistent, Chance.mix(seed, i));
            add(hiddenSum, statistic, n);
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
        add(input, hiddenBias, n);
        if (rbm.hiddenUnit.drawsFromInput()) {
            rbm.hiddenUnit.sample(input, state, n, seed, hiddenFrom);
            return state;
        }
        rbm.hiddenUnit.mean(input, n);
        if (draw) {
            rbm.hiddenUnit.sample(input, state, n, seed, hiddenFrom);
        }
        return input;
    }

    /**
     * Adds cost x (target - activity) to every example's statistic: the gradient of the cross-entropy
     * between the target and the running mean (Hinton 2010, section 11) in biases and weights.
     */
    private void sparsify(int rows) {
        int n = hiddenBias.length;
        for (int j = 0; j < n; j++) {
            float mean = hiddenSum[j] / rows;
            activity[j] = t.sparsityDecay * activity[j] + (1 - t.sparsityDecay) * mean;
            other[j] = t.sparsityCost * (t.sparsityTarget - activity[j]);
            hiddenSum[j] += rows * other[j];
        }
        for (int i = 0; i < rows; i++) {
            int at = i * rbm.hidden + hiddenFrom;
            get(statistics, at, x, n);
            add(x, other, n);
            put(statistics, at, x, n);
        }
    }

    /** Visible units driven by the hidden states. */
    private void reconstruct(int batch, int step) {
        int n = visibleBias.length;
        int rows = t.modelRows(batch);
        long first = (long) t.rows(batch) * rbm.visible;
        FloatPointer out = visibleOut[batch & 1].position(first + visibleFrom);
        rbm.toVisible(weightColumns, n, t.states, out, rows);
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
            int at = (int) first + i * rbm.visible + visibleFrom;
            get(buffer, at, x, n);
            add(x, visibleBias, n);
            rbm.visibleUnit.mean(x, n);
            if (step == 1) {
                measure(buffer, i, n);
            }
            float[] value = x;
            if (t.sampleVisible) {
                rbm.visibleUnit.sample(x, state, n, Chance.mix(seed, i), visibleFrom);
                value = state;
            }
            if (last) {
                addScaled(visibleSum, value, scale, n);
            }
            put(buffer, at, value, n);
        }
        if (step == 1) {
            t.distances[place] = sum(squares);
        }
    }

    private void sumData(int batch) {
        Arrays.fill(visibleSum, 0);
        for (int i = 0; i < t.rows(batch); i++) {
            get(visibles[batch & 1], i * rbm.visible + visibleFrom, other, visibleSum.length);
            add(visibleSum, other, visibleSum.length);
        }
    }

    private void measure(FloatBuffer buffer, int i, int n) {
        if (t.persistent) {
            Arrays.fill(other, 0);
        } else {
            get(buffer, i * rbm.visible + visibleFrom, other, n);
        }
        for (int j = 0; j < n; j++) {
            float d = other[j] - x[j];
            squares[j] += d * d;
        }
    }

    /** The negative side: hidden units driven by the reconstruction. */
    private void fromModel(int batch, int step) {
        int n = hiddenBias.length;
        int rows = t.modelRows(batch);
        int first = t.rows(batch);
        FloatPointer v = model[batch & 1].position((long) first * rbm.visible);
        FloatPointer out = statisticsOut.position((long) first * rbm.hidden + hiddenFrom);
        rbm.toHidden(weightRows, n, v, out, rows);
        boolean last = step == t.k;
        boolean draw = !last || t.persistent;
        float scale = -(float) first / rows;
        long seed = t.seed(batch, 2 * step);
        for (int i = 0; i < rows; i++) {
            int at = (first + i) * rbm.hidden + hiddenFrom;
            get(statistics, at, x, n);
            float[] statistic = hidden(x, n, draw, Chance.mix(seed, i));
            if (draw) {
                put(states, i * rbm.hidden + hiddenFrom, state, n);
            }
            if (last) {
                for (int j = 0; j < n; j++) {
                    other[j] = scale * statistic[j];
                }
                add(hiddenSum, other, n);
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
                rbm.visible,
                hiddenBias.length,
                inner,
                rate,
                t.visibles[batch & 1],
                rbm.visible,
                dataStatistics,
                rbm.hidden,
                t.momentum,
                velocityRows,
                rbm.visible);
        moveWeights();
        move(hiddenBias, hiddenVelocity, hiddenSum, rate);
        move(visibleBias, visibleVelocity, visibleSum, rate);
    }

    private void moveWeights() {
        float decay = t.learningRate * t.weightDecay;
        int end = hiddenTo * rbm.visible;
        for (int at = hiddenFrom * rbm.visible; at < end; at += PIECE) {
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

    private void move(float[] bias, float[] speed, float[] gradient, float rate) {
        for (int i = 0; i < bias.length; i++) {
            speed[i] = t.momentum * speed[i] + rate * gradient[i];
            bias[i] += speed[i];
        }
    }

    private void writeBack() {
        write(hiddenBias, rbm.hiddenBias, hiddenFrom);
        write(hiddenVelocity, t.hiddenVelocity, hiddenFrom);
        write(visibleBias, rbm.visibleBias, visibleFrom);
        write(visibleVelocity, t.visibleVelocity, visibleFrom);
        if (t.sparse) {
            write(activity, t.activity, hiddenFrom);
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
