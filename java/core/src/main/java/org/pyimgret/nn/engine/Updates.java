package org.pyimgret.nn.engine;

import java.util.List;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.config.Sgd;

/**
 * Steps along gradients, in one pass over parameter, gradient and state.
 *
 * <p>The mathematics is Deeplearning4j's (Adam's correction of the bias is in the rate), on the state
 * vector of the network's own updater.
 */
final class Updates {

    /** Values that a pass works on at a time: four such arrays fit the first-level cache. */
    static final int TILE = 2048;

    private final Matrix parameters;
    private final Matrix state;
    private final List<UpdaterBlock> segments;
    private final float[][][] tiles;
    private final double[] penalty;
    private float[][] factors;

    Updates(MultiLayerNetwork network, Matrix parameters, int threads) {
        this.parameters = parameters;
        BaseMultiLayerUpdater<?> updater = (BaseMultiLayerUpdater<?>) network.getUpdater();
        INDArray values = updater.getStateViewArray();
        state = values == null ? null : Matrix.view(values, threads);
        segments = updater.getUpdaterBlocks();
        tiles = new float[threads][4][TILE];
        penalty = new double[threads];
    }

    /** Says whether every updater of the network is one of these. */
    static boolean know(MultiLayerNetwork network) {
        if (!(network.getUpdater() instanceof BaseMultiLayerUpdater)) {
            return false;
        }
        INDArray values = network.getUpdater().getStateViewArray();
        if (values != null && !Matrix.whole(values)) {
            return false;
        }
        for (UpdaterBlock segment : ((BaseMultiLayerUpdater<?>) network.getUpdater()).getUpdaterBlocks()) {
            Class<?> kind = segment.getGradientUpdater().getConfig().getClass();
            if (kind != Adam.class && kind != Nesterovs.class && kind != Sgd.class && kind != NoOp.class) {
                return false;
            }
        }
        return true;
    }

    /** Looks up what the coming iteration's rates are. */
    void begin(int iteration, int epoch) {
        factors = new float[segments.size()][];
        for (int i = 0; i < factors.length; i++) {
            factors[i] = factors(segments.get(i).getGradientUpdater().getConfig(), iteration, epoch);
        }
        java.util.Arrays.fill(penalty, 0);
    }

    private static float[] factors(IUpdater updater, int iteration, int epoch) {
        double rate = updater.hasLearningRate() ? updater.getLearningRate(iteration, epoch) : 0;
        if (updater instanceof Adam) {
            Adam a = (Adam) updater;
            double correction = Math.sqrt(1 - Math.pow(a.getBeta2(), iteration + 1.0))
                    / (1 - Math.pow(a.getBeta1(), iteration + 1.0));
            return new float[] {
                (float) a.getBeta1(), (float) a.getBeta2(), (float) (rate * correction), (float) a.getEpsilon()
            };
        }
        if (updater instanceof Nesterovs) {
            return new float[] {(float) ((Nesterovs) updater).currentMomentum(iteration, epoch), (float) rate};
        }
        return new float[] {(float) rate};
    }

    /** The part of the loss that the weights' penalties are, as of before the steps. */
    double penalty() {
        double sum = 0;
        for (double part : penalty) {
            sum += part;
        }
        return sum;
    }

    /** Steps along a gradient outside the heap. */
    void step(int thread, int place, Matrix gradient, int count, Block penalised) {
        float[] g = tiles[thread][0];
        for (int i = 0; i < count; i += TILE) {
            int n = Math.min(TILE, count - i);
            gradient.read(thread, i, g, n);
            step(thread, place + i, n, penalised);
        }
    }

    /** Steps along a gradient in an array. */
    void step(int thread, int place, float[] gradient, int count) {
        step(thread, place, gradient, count, null);
    }

    /** Steps along a gradient in an array, with a block's penalties. */
    void step(int thread, int place, float[] gradient, int count, Block penalised) {
        for (int i = 0; i < count; i += TILE) {
            int n = Math.min(TILE, count - i);
            System.arraycopy(gradient, i, tiles[thread][0], 0, n);
            step(thread, place + i, n, penalised);
        }
    }

    private void step(int thread, int place, int n, Block penalised) {
        float[][] tile = tiles[thread];
        parameters.read(thread, place, tile[1], n);
        if (penalised != null && (penalised.l1 != 0 || penalised.l2 != 0)) {
            penalty[thread] += penalise(tile[0], tile[1], n, (float) penalised.l1, (float) penalised.l2);
        }
        int number = segment(place);
        UpdaterBlock segment = segments.get(number);
        IUpdater updater = segment.getGradientUpdater().getConfig();
        if (updater instanceof Adam) {
            int first = segment.getUpdaterViewOffsetStart() + place - segment.getParamOffsetStart();
            int second = first + segment.getParamOffsetEnd() - segment.getParamOffsetStart();
            state.read(thread, first, tile[2], n);
            state.read(thread, second, tile[3], n);
            adam(tile[0], tile[1], tile[2], tile[3], n, factors[number]);
            state.write(thread, first, tile[2], n);
            state.write(thread, second, tile[3], n);
        } else if (updater instanceof Nesterovs) {
            int at = segment.getUpdaterViewOffsetStart() + place - segment.getParamOffsetStart();
            state.read(thread, at, tile[2], n);
            nesterovs(tile[0], tile[1], tile[2], n, factors[number]);
            state.write(thread, at, tile[2], n);
        } else {
            descend(tile[0], tile[1], n, factors[number][0]);
        }
        parameters.write(thread, place, tile[1], n);
    }

    private int segment(int place) {
        int number = 0;
        while (segments.get(number).getParamOffsetEnd() <= place) {
            number++;
        }
        return number;
    }

    private static double penalise(float[] g, float[] p, int n, float l1, float l2) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += l1 * Math.abs(p[i]) + 0.5f * l2 * p[i] * p[i];
            g[i] += l1 * Math.signum(p[i]) + l2 * p[i];
        }
        return sum;
    }

    /** Kingma and Ba (2015), algorithm 1 with the order of section 2's end. */
    private static void adam(float[] g, float[] p, float[] m, float[] v, int n, float[] factors) {
        float beta1 = factors[0];
        float beta2 = factors[1];
        float rate = factors[2];
        float epsilon = factors[3];
        float rest1 = 1f - beta1;
        float rest2 = 1f - beta2;
        for (int i = 0; i < n; i++) {
            float first = beta1 * m[i] + rest1 * g[i];
            float second = beta2 * v[i] + rest2 * g[i] * g[i];
            m[i] = first;
            v[i] = second;
            p[i] -= rate * first / ((float) Math.sqrt(second) + epsilon);
        }
    }

    private static void nesterovs(float[] g, float[] p, float[] v, int n, float[] factors) {
        float momentum = factors[0];
        float rate = factors[1];
        for (int i = 0; i < n; i++) {
            float next = momentum * v[i] - rate * g[i];
            p[i] -= momentum * v[i] - (1f + momentum) * next;
            v[i] = next;
        }
    }

    private static void descend(float[] g, float[] p, int n, float rate) {
        for (int i = 0; i < n; i++) {
            p[i] -= rate * g[i];
        }
    }
}
