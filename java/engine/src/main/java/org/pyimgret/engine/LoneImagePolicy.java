package org.pyimgret.engine;

/**
 * Decides whether a lone image is shared by all workers, by how long that took lately.
 *
 * <p>Sharing is faster while every worker has a processor. Where other processes take them, workers
 * wait for each other, and one thread alone is faster; now and then the other way is tried again.
 */
final class LoneImagePolicy {

    /** Of so many runs, the first few go the way that looks slower. */
    private static final int PERIOD = 64;

    private static final int TRIES = 4;

    /** What the latest run weighs in the running mean of a way. */
    private static final double WEIGHT = 0.25;

    /** A run that took so much longer than usual was interrupted, and says little of its way. */
    private static final double INTERRUPTED = 3;

    /** Nanoseconds alone, and shared; 0 as long as it is not known. */
    private final double[] means = new double[2];

    private int runs;
    private boolean lastWasShared;

    /** Whether the next image is to be shared. */
    synchronized boolean shares() {
        boolean faster = means[1] <= means[0];
        return runs++ % PERIOD < TRIES ? !faster : faster;
    }

    /** Learns how long an image took. */
    synchronized void took(boolean shared, long nanoseconds) {
        if (shared != lastWasShared) {
            // NB: the first run of a way finds cold caches, and workers that sleep.
            lastWasShared = shared;
            return;
        }
        int way = shared ? 1 : 0;
        double mean = means[way];
        double counted = Math.min(nanoseconds, INTERRUPTED * mean);
        means[way] = mean == 0 ? nanoseconds : mean + WEIGHT * (counted - mean);
    }
}
