package org.pyimgret.nn;

/**
 * The logistic function without an exponential.
 *
 * <p>(1 + tanh(x / 2)) / 2, with the rational minimax approximation of tanh that Eigen uses
 * (degree 13 over 6, error below 3e-7): only additions, multiplications and one division, which
 * the compiler turns into vector instructions; a call of {@code Math.exp} stops it.
 */
final class Sigmoid {

    /** tanh is 1 in float32 from here on. */
    private static final float END = 7.90531110763549805f;

    private Sigmoid() {}

    /** Replaces the first n values by their sigmoid. */
    static void apply(float[] x, int n) {
        for (int i = 0; i < n; i++) {
            float t = Math.max(-END, Math.min(END, 0.5f * x[i]));
            float s = t * t;
            float p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
            p = s * p - 8.60467152213735e-11f;
            p = s * p + 5.12229709037114e-08f;
            p = s * p + 1.48572235717979e-05f;
            p = s * p + 6.37261928875436e-04f;
            p = t * (s * p + 4.89352455891786e-03f);
            float q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
            q = s * q + 2.26843463243900e-03f;
            q = s * q + 4.89352518554385e-03f;
            x[i] = Math.max(0f, Math.min(1f, 0.5f + 0.5f * (p / q)));
        }
    }
}
