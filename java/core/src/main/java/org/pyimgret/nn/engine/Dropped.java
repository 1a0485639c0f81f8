package org.pyimgret.nn.engine;

/**
 * Dropout (Srivastava et al. 2014), what is kept being scaled up.
 *
 * <p>Whether a value stays is a function of the seed and its place alone: the way back computes it
 * again, and training that goes on from a checkpoint draws what it would have drawn.
 */
final class Dropped {

    private Dropped() {}

    /** Scales or clears the values from place {@code first} on. */
    static void apply(float[] x, int n, int seed, int first, float kept) {
        int bound = (int) (kept * (1 << 24));
        float scale = 1f / kept;
        for (int i = 0; i < n; i++) {
            x[i] *= (hash(seed + first + i) >>> 8) < bound ? scale : 0f;
        }
    }

    /** The finaliser of MurmurHash3 (Appleby 2011). */
    static int hash(int number) {
        int h = number * 0x9E3779B9;
        h = (h ^ (h >>> 16)) * 0x85EBCA6B;
        h = (h ^ (h >>> 13)) * 0xC2B2AE35;
        return h ^ (h >>> 16);
    }
}
