package org.pyimgret.engine;

/**
 * Decides whether a lone image is shared by all workers, by what that cost lately.
 *
 * <p>Sharing is faster while every worker has a processor. Where other processes take them, workers
 * wait for each other, and one thread alone is faster; now and then the other way is tried again.
 */
final class LoneImagePolicy {

    /** Runs after which the way that looks slower is tried. */
    private static final int TRY = 32;

    private static final double SLOWER = 0.2;
    private static final double FASTER = 0.6;

    private final double[] nanoseconds = new double[2];
    private int runs;

    /** Whether the next image is to be shared. */
    synchronized boolean shares() {
        runs++;
        if (nanoseconds[1] == 0) {
            return true;
        }
        if (nanoseconds[0] == 0) {
            return false;
        }
        boolean faster = nanoseconds[1] <= nanoseconds[0];
        return runs % TRY == 0 ? !faster : faster;
    }

    /** Learns how long an image took. */
    synchronized void took(boolean shared, long time) {
        int way = shared ? 1 : 0;
        double known = nanoseconds[way];
        // The first runs, which load and compile, count little.
        double weight = time < known ? FASTER : SLOWER;
        nanoseconds[way] = known == 0 ? time : known + weight * (time - known);
    }
}
