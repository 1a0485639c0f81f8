package org.pyimgret.nn;

import org.nd4j.linalg.factory.Nd4j;

/** Seeds of random numbers, mixed from what they are to depend on. */
final class Seeds {

    private Seeds() {}

    /** The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over both numbers. */
    static long mix(long a, long b) {
        long z = a * 0x9E3779B97F4A7C15L + b + 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /**
     * Gives a seed that ND4J takes as it is.
     *
     * <p>NB: its native generator looks at the lower 32 bits only, and takes 0 for "use the clock".
     */
    static long forNd4j(long seed) {
        return (mix(seed, 0) & 0x7fffffffL) | 1L;
    }

    /** Seeds ND4J's generator, which is the calling thread's own. */
    static void seedNd4j(long seed) {
        Nd4j.getRandom().setSeed(forNd4j(seed));
    }
}
