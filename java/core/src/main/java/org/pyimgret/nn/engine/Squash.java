package org.pyimgret.nn.engine;

import java.util.Map;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.activations.impl.ActivationReLU;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationTanH;

/** Activations whose derivative follows from the output, so that the input need not be kept. */
enum Squash {
    IDENTITY {
        @Override
        void apply(float[] x, int n) {
            // The identity.
        }

        @Override
        void derive(float[] gradient, float[] y, int n) {
            // Its derivative is one.
        }
    },
    RELU {
        @Override
        void apply(float[] x, int n) {
            for (int i = 0; i < n; i++) {
                x[i] = Math.max(x[i], 0f);
            }
        }

        @Override
        void derive(float[] gradient, float[] y, int n) {
            for (int i = 0; i < n; i++) {
                // One where y is above zero, without a branch: branches are not vectorised.
                gradient[i] *= Math.min(1f, y[i] * Float.MAX_VALUE);
            }
        }
    },
    SIGMOID {
        @Override
        void apply(float[] x, int n) {
            for (int i = 0; i < n; i++) {
                x[i] = 1f / (1f + Exponential.exp(-x[i]));
            }
        }

        @Override
        void derive(float[] gradient, float[] y, int n) {
            for (int i = 0; i < n; i++) {
                gradient[i] *= y[i] * (1f - y[i]);
            }
        }
    },
    TANH {
        @Override
        void apply(float[] x, int n) {
            for (int i = 0; i < n; i++) {
                x[i] = 2f / (1f + Exponential.exp(-2f * x[i])) - 1f;
            }
        }

        @Override
        void derive(float[] gradient, float[] y, int n) {
            for (int i = 0; i < n; i++) {
                gradient[i] *= 1f - y[i] * y[i];
            }
        }
    };

    private static final Map<Class<? extends IActivation>, Squash> KNOWN = Map.of(
            ActivationIdentity.class, IDENTITY,
            ActivationReLU.class, RELU,
            ActivationSigmoid.class, SIGMOID,
            ActivationTanH.class, TANH);

    /** Replaces x by the activation of x. */
    abstract void apply(float[] x, int n);

    /** Multiplies a gradient by the derivative at the input that gave y. */
    abstract void derive(float[] gradient, float[] y, int n);

    /** Gives the activation of Deeplearning4j's that is one of these, or null. */
    static Squash of(IActivation activation) {
        return KNOWN.get(activation.getClass());
    }
}
