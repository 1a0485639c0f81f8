package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.Map;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationELU;
import org.nd4j.linalg.activations.impl.ActivationHardSigmoid;
import org.nd4j.linalg.activations.impl.ActivationHardTanH;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.activations.impl.ActivationLReLU;
import org.nd4j.linalg.activations.impl.ActivationReLU;
import org.nd4j.linalg.activations.impl.ActivationReLU6;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftPlus;
import org.nd4j.linalg.activations.impl.ActivationSwish;
import org.nd4j.linalg.activations.impl.ActivationTanH;

/** Deeplearning4j's activation functions, of those that oneDNN has. */
final class Activations {

    static final Operation.Activation IDENTITY = new Operation.Activation(dnnl_eltwise_linear, 1, 0);

    private static final Map<Class<? extends IActivation>, Operation.Activation> PLAIN = Map.of(
            ActivationIdentity.class, IDENTITY,
            ActivationReLU6.class, new Operation.Activation(dnnl_eltwise_clip, 0, 6),
            ActivationSigmoid.class, new Operation.Activation(dnnl_eltwise_logistic, 0, 0),
            ActivationTanH.class, new Operation.Activation(dnnl_eltwise_tanh, 0, 0),
            ActivationSoftPlus.class, new Operation.Activation(dnnl_eltwise_soft_relu, 1, 0),
            ActivationSwish.class, new Operation.Activation(dnnl_eltwise_swish, 1, 0),
            ActivationHardTanH.class, new Operation.Activation(dnnl_eltwise_clip, -1, 1),
            ActivationHardSigmoid.class, new Operation.Activation(dnnl_eltwise_hardsigmoid, 0.2f, 0.5f));

    private Activations() {}

    /** The same function, or null: oneDNN has none that equals it. */
    static Operation.Activation of(IActivation function) {
        if (function instanceof ActivationReLU) {
            return rectifier((ActivationReLU) function);
        }
        if (function instanceof ActivationLReLU) {
            float slope = (float) ((ActivationLReLU) function).getAlpha();
            return new Operation.Activation(dnnl_eltwise_relu, slope, 0);
        }
        if (function instanceof ActivationELU) {
            float alpha = (float) ((ActivationELU) function).getAlpha();
            return new Operation.Activation(dnnl_eltwise_elu, alpha, 0);
        }
        return PLAIN.get(function.getClass());
    }

    private static Operation.Activation rectifier(ActivationReLU function) {
        double slope = value(function.getNegativeSlope());
        if (value(function.getThreshold()) != 0) {
            return null;
        }
        double max = value(function.getMax());
        if (max > 0) {
            return slope == 0 ? new Operation.Activation(dnnl_eltwise_clip, 0, (float) max) : null;
        }
        return new Operation.Activation(dnnl_eltwise_relu, (float) slope, 0);
    }

    private static double value(Double setting) {
        return setting == null ? 0 : setting;
    }
}
