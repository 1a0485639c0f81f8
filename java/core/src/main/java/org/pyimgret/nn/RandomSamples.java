package org.pyimgret.nn;

/**
 * Random samples as a function of a seed and a unit's number (SplitMix64, counted; Steele, Lea and
 * Flood 2014): no state is carried on, so that threads may share a row and the outcome stays.
 *
 * <p>Two neighbouring units share one draw of 64 bits; {@code first} must be even.
 */
final class RandomSamples {

    private static final long GAMMA = 0x9E3779B97F4A7C15L;
    /** Probabilities are compared in steps of 2^-24, all that float32 tells apart below 1. */
    private static final float STEPS = 1 << 24;

    private RandomSamples() {}

    private static long draw(long seed, long counter) {
        long z = seed + counter * GAMMA;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** Writes 1 with probability p[i], else 0. */
    static void bernoulli(float[] p, float[] out, int n, long seed, int first) {
        int i = 0;
        for (; i + 1 < n; i += 2) {
            long bits = draw(seed, first + i);
            // NB: the sign of a difference rather than a comparison, which would be mispredicted.
            out[i] = ((int) (bits >>> 40) - (int) (p[i] * STEPS)) >>> 31;
            out[i + 1] = ((int) (bits & 0xFFFFFF) - (int) (p[i + 1] * STEPS)) >>> 31;
        }
        if (i < n) {
            out[i] = ((int) (draw(seed, first + i) >>> 40) - (int) (p[i] * STEPS)) >>> 31;
        }
    }

    /** Writes normal samples (Box and Muller 1958). */
    static void normal(float[] out, int n, long seed, int first) {
        for (int i = 0; i < n; i += 2) {
            long bits = draw(seed, first + i);
            double radius = Math.sqrt(-2 * Math.log(((bits >>> 32) + 0.5) * 0x1p-32));
            double angle = 2 * Math.PI * ((bits & 0xFFFFFFFFL) * 0x1p-32);
            out[i] = (float) (radius * Math.cos(angle));
            if (i + 1 < n) {
                out[i + 1] = (float) (radius * Math.sin(angle));
            }
        }
    }
}
