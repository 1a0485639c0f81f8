package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.learning.regularization.L1Regularization;
import org.nd4j.linalg.learning.regularization.L2Regularization;
import org.nd4j.linalg.learning.regularization.Regularization;

/**
 * Steps along gradients, in one pass over parameter, gradient and state.
 *
 * <p>The mathematics is Deeplearning4j's (Adam's correction of the bias is in the rate), on the
 * network's own parameters and on the state vector of its own updater. The gradients of several
 * workers are added up in the same pass, always in the same order.
 */
final class Optimizer {

    private final INDArray parameters;
    private final INDArray state;
    private final List<UpdaterBlock> blocks;
    private final float[][][] pieces;
    private final double[] penalty;
    private final List<Parameter> penalised = new ArrayList<>();
    private float[][] factors;

    Optimizer(INDArray parameters, BaseMultiLayerUpdater<?> updater, int workers) {
        this.parameters = parameters;
        state = updater.getStateViewArray();
        blocks = updater.getUpdaterBlocks();
        pieces = new float[workers][5][FloatView.PIECE];
        penalty = new double[workers];
    }

    /**
     * Checks that this is the same as the network's own updater.
     *
     * @throws UnsupportedLayerException if it is not
     */
    static void check(INDArray parameters, BaseMultiLayerUpdater<?> updater) throws UnsupportedLayerException {
        boolean whole = parameters != null && parameters.dataType() == DataType.FLOAT && isWhole(parameters);
        INDArray state = updater.getStateViewArray();
        if (!whole || state != null && !isWhole(state)) {
            throw new UnsupportedLayerException("all", "parameters that share their memory, or are not float32");
        }
        for (UpdaterBlock block : updater.getUpdaterBlocks()) {
            Class<?> kind = block.getGradientUpdater().getConfig().getClass();
            if (kind != Adam.class && kind != Nesterovs.class && kind != Sgd.class && kind != NoOp.class) {
                throw new UnsupportedLayerException("all", "training by " + kind.getSimpleName());
            }
        }
    }

    /** NB: isView also holds for another shape of a whole. */
    private static boolean isWhole(INDArray array) {
        return array.offset() == 0 && array.length() == array.data().length();
    }

    /** Looks up what the coming iteration's rates are. */
    void begin(int iteration, int epoch) {
        factors = new float[blocks.size()][];
        Arrays.setAll(factors, i -> factors(blocks.get(i).getGradientUpdater().getConfig(), iteration, epoch));
        penalised.forEach(parameter -> parameter.begin(iteration, epoch));
        Arrays.fill(penalty, 0);
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
        return Arrays.stream(penalty).sum();
    }

    /**
     * Finds a parameter.
     *
     * @throws UnsupportedLayerException if it has a penalty other than L1 or L2
     */
    Parameter parameter(Layer layer, String key) throws UnsupportedLayerException {
        return new Parameter(layer, key);
    }

    /** One of a layer's arrays of parameters, where the network keeps it. */
    final class Parameter {

        /** Where it begins. */
        final long address;

        final INDArray array;
        private final long place;
        private final int block;
        private final List<Regularization> penalties;
        private float l1;
        private float l2;

        private Parameter(Layer layer, String key) throws UnsupportedLayerException {
            array = layer.getParam(key);
            place = array.offset() - parameters.offset();
            address = parameters.data().address() + place * Float.BYTES;
            int number = 0;
            while (blocks.get(number).getParamOffsetEnd() <= place) {
                number++;
            }
            block = number;
            List<Regularization> all = layer.conf().getLayer() instanceof BaseLayer
                    ? ((BaseLayer) layer.conf().getLayer()).getRegularizationByParam(key)
                    : null;
            penalties = all == null ? List.of() : all;
            for (Regularization r : penalties) {
                if (!(r instanceof L1Regularization) && !(r instanceof L2Regularization)) {
                    throw new UnsupportedLayerException(
                            key, "training with " + r.getClass().getSimpleName());
                }
            }
            if (!penalties.isEmpty()) {
                penalised.add(this);
            }
        }

        private void begin(int iteration, int epoch) {
            l1 = 0;
            l2 = 0;
            for (Regularization r : penalties) {
                if (r instanceof L2Regularization) {
                    l2 += (float) ((L2Regularization) r).getL2().valueAt(iteration, epoch);
                } else {
                    l1 += (float) ((L1Regularization) r).getL1().valueAt(iteration, epoch);
                }
            }
        }
    }

    /** Some of a parameter, which one worker changes. */
    final class Slice {

        private final int worker;
        private final Parameter parameter;
        private final int count;
        private final FloatView values;
        private final FloatView first;
        private final FloatView second;

        /** Takes the numbers {@code from} to {@code from + count} of a parameter. */
        Slice(int worker, Parameter parameter, long from, int count) {
            this.worker = worker;
            this.parameter = parameter;
            this.count = count;
            values = new FloatView(parameter.address + from * Float.BYTES, count);
            UpdaterBlock b = blocks.get(parameter.block);
            int states = b.getGradientUpdater().getConfig() instanceof Adam
                    ? 2
                    : b.getGradientUpdater().getConfig() instanceof Nesterovs ? 1 : 0;
            long at = b.getUpdaterViewOffsetStart() + parameter.place + from - b.getParamOffsetStart();
            first = states > 0 ? state(at, count) : null;
            second = states > 1 ? state(at + b.getParamOffsetEnd() - b.getParamOffsetStart(), count) : null;
        }

        private FloatView state(long at, int length) {
            return new FloatView(state.data().address() + at * Float.BYTES, length);
        }

        /** Steps along the sum of gradients, of each of which this slice's part begins at {@code from}. */
        void step(FloatView[] gradients, int from) {
            float[][] piece = pieces[worker];
            for (int i = 0; i < count; i += FloatView.PIECE) {
                int n = Math.min(FloatView.PIECE, count - i);
                gradients[0].read(from + i, piece[0], n);
                for (int g = 1; g < gradients.length; g++) {
                    gradients[g].read(from + i, piece[4], n);
                    for (int k = 0; k < n; k++) {
                        piece[0][k] += piece[4][k];
                    }
                }
                step(i, n);
            }
        }

        /** Steps along a gradient, of which this slice's part begins at {@code from}. */
        void step(float[] gradient, int from) {
            for (int i = 0; i < count; i += FloatView.PIECE) {
                int n = Math.min(FloatView.PIECE, count - i);
                System.arraycopy(gradient, from + i, pieces[worker][0], 0, n);
                step(i, n);
            }
        }

        private void step(int at, int n) {
            float[][] piece = pieces[worker];
            values.read(at, piece[1], n);
            if (!parameter.penalties.isEmpty()) {
                penalty[worker] += penalise(piece[0], piece[1], n, parameter.l1, parameter.l2);
            }
            float[] factor = factors[parameter.block];
            if (second != null) {
                first.read(at, piece[2], n);
                second.read(at, piece[3], n);
                adam(piece[0], piece[1], piece[2], piece[3], n, factor);
                first.write(at, piece[2], n);
                second.write(at, piece[3], n);
            } else if (first != null) {
                first.read(at, piece[2], n);
                nesterovs(piece[0], piece[1], piece[2], n, factor);
                first.write(at, piece[2], n);
            } else {
                descend(piece[0], piece[1], n, factor[0]);
            }
            values.write(at, piece[1], n);
        }
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
