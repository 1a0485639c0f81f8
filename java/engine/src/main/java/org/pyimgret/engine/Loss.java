package org.pyimgret.engine;

import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.ILossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT;
import org.nd4j.linalg.lossfunctions.impl.LossL2;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.linalg.lossfunctions.impl.LossMSE;

/**
 * The loss of an output layer, row by row, and its gradient.
 *
 * <p>Cross-entropies take the input of the sigmoid or softmax itself, so that nothing is clipped and
 * a wrong, saturated unit still learns.
 */
final class Loss {

    private static final float LOG2_E = 1.44269504f;
    /** Adding 1.5 x 2^23 leaves a number's whole part in the lowest bits. */
    private static final float ROUND = 12582912f;

    private static final float HIGH = 0.693359375f;
    private static final float LOW = -2.12194440e-4f;

    /** The formulas. */
    private enum Kind {
        SQUARED,
        BINARY_CROSS_ENTROPY,
        CATEGORICAL_CROSS_ENTROPY
    }

    private final Kind kind;

    /** What squares are multiplied by: the mean over a row, or the sum. */
    private final float factor;

    /** Of the outputs, or null: all count alike. */
    private final float[] weights;

    private Loss(Kind kind, float factor, float[] weights) {
        this.kind = kind;
        this.factor = factor;
        this.weights = weights;
    }

    /**
     * Reads the loss of an output layer.
     *
     * @throws UnsupportedLayerException if it is not one of these
     */
    static Loss of(Layer layer) throws UnsupportedLayerException {
        if (layer.getClass() != OutputLayer.class) {
            throw new UnsupportedLayerException(
                    "last", "training with a " + layer.getClass().getSimpleName());
        }
        ILossFunction loss = ((BaseOutputLayer) layer).getLossFn();
        boolean included = includes(((BaseLayer) layer).getActivationFn(), layer);
        if (loss instanceof LossL2 && ((LossL2) loss).getWeights() == null) {
            boolean mean = loss instanceof LossMSE;
            return new Loss(Kind.SQUARED, mean ? 1f / ((BaseOutputLayer) layer).getNOut() : 1f, null);
        }
        if (loss instanceof LossBinaryXENT && included && ((LossBinaryXENT) loss).getWeights() == null) {
            return new Loss(Kind.BINARY_CROSS_ENTROPY, 1, null);
        }
        if (loss.getClass() == LossMCXENT.class && included) {
            INDArray weights = ((LossMCXENT) loss).getWeights();
            float[] each = weights == null
                    ? null
                    : weights.dup().castTo(DataType.FLOAT).data().asFloat();
            return new Loss(Kind.CATEGORICAL_CROSS_ENTROPY, 1, each);
        }
        throw new UnsupportedLayerException("last", "training with the loss " + loss);
    }

    /** Whether an output layer's loss is computed from what its activation gets. */
    static boolean includes(IActivation activation, Layer layer) {
        if (!(layer instanceof BaseOutputLayer)) {
            return false;
        }
        ILossFunction loss = ((BaseOutputLayer) layer).getLossFn();
        return activation instanceof ActivationSigmoid && loss instanceof LossBinaryXENT
                || activation instanceof ActivationSoftmax && loss instanceof LossMCXENT;
    }

    /**
     * Gives the loss of a row.
     *
     * @param z what the loss gets; not kept
     * @param target what was wanted; not kept
     * @param gradient receives the derivative by z
     * @param scale of the gradient
     */
    double row(float[] z, float[] target, float[] gradient, float scale) {
        double loss = row(z, target, gradient);
        for (int i = 0; i < gradient.length; i++) {
            gradient[i] *= scale;
        }
        return loss;
    }

    private double row(float[] z, float[] target, float[] gradient) {
        if (weights != null) {
            for (int i = 0; i < target.length; i++) {
                target[i] *= weights[i];
            }
        }
        switch (kind) {
            case SQUARED:
                return squared(z, target, gradient, factor);
            case BINARY_CROSS_ENTROPY:
                return binary(z, target, gradient);
            default:
                return categorical(z, target, gradient);
        }
    }

    private static double squared(float[] z, float[] target, float[] gradient, float factor) {
        float sum = 0;
        for (int i = 0; i < z.length; i++) {
            float difference = z[i] - target[i];
            sum += difference * difference;
            gradient[i] = 2f * factor * difference;
        }
        return factor * sum;
    }

    private static double binary(float[] z, float[] target, float[] gradient) {
        double sum = 0;
        double product = 1;
        for (int i = 0; i < z.length; i++) {
            float e = exp(-Math.abs(z[i]));
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

    private static double categorical(float[] z, float[] target, float[] gradient) {
        double sum = 0;
        double weight = 0;
        for (int i = 0; i < z.length; i++) {
            sum -= target[i] * z[i];
            weight += target[i];
        }
        double logarithm = softmax(z);
        for (int i = 0; i < z.length; i++) {
            gradient[i] = (float) weight * z[i] - target[i];
        }
        return sum + weight * logarithm;
    }

    /** Replaces z by its softmax; returns the logarithm of the sum of exponentials. */
    private static double softmax(float[] z) {
        float top = z[0];
        for (float value : z) {
            top = Math.max(top, value);
        }
        float sum = 0;
        for (int i = 0; i < z.length; i++) {
            z[i] = exp(z[i] - top);
            sum += z[i];
        }
        for (int i = 0; i < z.length; i++) {
            z[i] /= sum;
        }
        return top + Math.log(sum);
    }

    /** e^x, to 2 units in the last place and faster than {@link Math#exp}: by 2^k e^r, |r| below ln(2)/2, with the polynomial of Cephes (Moshier 1992). */
    private static float exp(float x) {
        float limited = Math.max(-87f, Math.min(88f, x));
        float shifted = limited * LOG2_E + ROUND;
        float k = shifted - ROUND;
        float r = limited - k * HIGH - k * LOW;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        float scale = Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + 0x3f800000);
        return (p * r * r + r + 1f) * scale;
    }
}
