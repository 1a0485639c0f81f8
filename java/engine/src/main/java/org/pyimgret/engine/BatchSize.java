package org.pyimgret.engine;

/**
 * How many images a stream takes at a time.
 *
 * <p>As many as fit, with what a layer makes of them, into a core's second-level cache: for large
 * feature maps one, for vectors so many that the products read the weights seldom.
 */
final class BatchSize {

    /** Numbers that a layer reads and writes for a batch: 1 MiB. */
    private static final int CACHED = 1 << 18;

    /** Rows beyond which a product of matrices gets no faster. */
    private static final int MOST = 256;

    private BatchSize() {}

    /** The largest batch that is worth while, a power of two. */
    static int most(Graph graph) {
        int largest = 1;
        for (Node node : graph.nodes) {
            int size = node.shape.size();
            for (Node input : node.inputs) {
                size += input.shape.size();
            }
            largest = Math.max(largest, size);
        }
        return Integer.highestOneBit(Math.max(1, Math.min(MOST, CACHED / largest)));
    }

    /**
     * The batch that some rows are filled up to: there are few sizes, because each is compiled.
     *
     * @param rows how many there are
     * @param most the largest batch
     */
    static int of(long rows, int most) {
        if (rows >= most) {
            return most;
        }
        int power = Integer.highestOneBit((int) rows);
        if (power == rows) {
            return power;
        }
        int between = power + power / 2;
        return Math.min(most, rows <= between ? between : 2 * power);
    }
}
