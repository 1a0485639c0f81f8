package org.pyimgret.nn.engine;

import java.util.Optional;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.ILossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT;
import org.nd4j.linalg.lossfunctions.impl.LossL2;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.linalg.lossfunctions.impl.LossMSE;

/**
 * Losses, with their gradient by the last block's input, for a piece of a row.
 *
 * <p>Cross-entropies take the input of the sigmoid or softmax itself, so that nothing is clipped and
 * a wrong, saturated unit still learns.
 */
enum Objective {
    SQUARES {
        @Override
        double piece(float[] z, float[] target, int n, Squash squash, float[] gradient, float factor) {
            squash.apply(z, n);
            float sum = 0;
            for (int i = 0; i < n; i++) {
                float difference = z[i] - target[i];
                sum += difference * difference;
                gradient[i] = 2f * factor * difference;
            }
            squash.derive(gradient, z, n);
            return factor * sum;
        }
    },
    BINARY {
        @Override
        double piece(float[] z, float[] target, int n, Squash squash, float[] gradient, float factor) {
            double sum = 0;
            double product = 1;
            for (int i = 0; i < n; i++) {
                float e = Exponential.exp(-Math.abs(z[i]));
                float positive = 1f / (1f + e);
                gradient[i] = (z[i] >= 0 ? positive : e * positive) - target[i];
                sum += Math.max(z[i], 0f) - z[i] * target[i];
                // Sum of log(1 + e): one logarithm of the product, which stays below 2^512.
                product *= 1f + e;
                if ((i & 511) == 511) {
                    sum += Math.log(product);
                    product = 1;
                }
            }
            return sum + Math.log(product);
        }
    },
    CATEGORICAL {
        @Override
        double piece(float[] z, float[] target, int n, Squash squash, float[] gradient, float factor) {
            double sum = 0;
            double weight = 0;
            for (int i = 0; i < n; i++) {
                sum -= target[i] * z[i];
                weight += target[i];
            }
            double logarithm = softmax(z, n);
            for (int i = 0; i < n; i++) {
                gradient[i] = (float) weight * z[i] - target[i];
            }
            return sum + weight * logarithm;
        }
    };

    /**
     * Gives the loss of a piece of a row.
     *
     * @param z the last block's values before its activation; not kept
     * @param target what was wanted
     * @param n length of the piece
     * @param squash the activation, where it is not the loss's own
     * @param gradient receives the derivative by z
     * @param factor of squares: one, or one over the length of a row
     */
    abstract double piece(float[] z, float[] target, int n, Squash squash, float[] gradient, float factor);

    /** Replaces z by its softmax; returns the logarithm of the sum of exponentials. */
    static double softmax(float[] z, int n) {
        float top = z[0];
        for (int i = 1; i < n; i++) {
            top = Math.max(top, z[i]);
        }
        float sum = 0;
        for (int i = 0; i < n; i++) {
            z[i] = Exponential.exp(z[i] - top);
            sum += z[i];
        }
        for (int i = 0; i < n; i++) {
            z[i] /= sum;
        }
        return top + Math.log(sum);
    }

    /** Finds the objective of an output layer, if it is one of these. */
    static Optional<Objective> of(BaseOutputLayer layer, Block block) {
        ILossFunction loss = layer.getLossFn();
        if (!block.softmax && weights(loss) == null && loss instanceof LossL2) {
            return Optional.of(SQUARES);
        }
        if (block.last() == Squash.SIGMOID
                && loss instanceof LossBinaryXENT
                && ((LossBinaryXENT) loss).getWeights() == null) {
            return Optional.of(BINARY);
        }
        boolean categorical = loss.getClass() == LossMCXENT.class;
        return block.softmax && categorical ? Optional.of(CATEGORICAL) : Optional.empty();
    }

    private static Object weights(ILossFunction loss) {
        return loss instanceof LossL2 ? ((LossL2) loss).getWeights() : null;
    }

    /** The weights of an output layer's classes, or null. */
    static float[] classWeights(BaseOutputLayer layer) {
        ILossFunction loss = layer.getLossFn();
        INDArray weights = loss instanceof LossMCXENT ? ((LossMCXENT) loss).getWeights() : null;
        return weights == null
                ? null
                : weights.dup().castTo(DataType.FLOAT).data().asFloat();
    }

    /** What squares are multiplied by: the mean over a row, or the sum. */
    static float factor(BaseOutputLayer layer) {
        return layer.getLossFn() instanceof LossMSE ? 1f / layer.getNOut() : 1f;
    }
}
