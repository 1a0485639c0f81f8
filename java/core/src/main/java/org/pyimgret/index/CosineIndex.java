package org.pyimgret.index;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * Exact cosine search over the directory of an index that Python wrote.
 *
 * <p>All vectors are held in memory, 4 x dimension bytes an image besides its key and
 * metadata. Safe for use by several threads; a search sees one state of the index from beginning to
 * end, also while another thread calls {@link #reload()}. Big indexes are searched on the common
 * fork-join pool.
 */
public final class CosineIndex implements AutoCloseable {

    private final IndexDatabase database;
    private volatile Snapshot snapshot;

    private CosineIndex(IndexDatabase database, Snapshot snapshot) {
        this.database = database;
        this.snapshot = snapshot;
    }

    /**
     * Opens an index, live or published.
     *
     * @param directory the directory with index.sqlite
     * @return the index
     * @throws IndexStoreException if it is damaged, or of a version that this one cannot read
     * @throws IOException if it cannot be read
     */
    public static CosineIndex open(Path directory) throws IOException {
        IndexDatabase database = new IndexDatabase(Objects.requireNonNull(directory, "directory"));
        return new CosineIndex(database, database.read(null));
    }

    /**
     * Images in the index.
     *
     * @return the number of vectors
     */
    public int size() {
        return current().size();
    }

    /**
     * Numbers in a vector.
     *
     * @return the dimension
     */
    public int dimension() {
        return current().dimension;
    }

    /**
     * Which model the vectors were made with.
     *
     * @return the checksum that Python's {@code Encoder.model_checksum} gives; may be empty
     */
    public String modelChecksum() {
        return current().modelChecksum;
    }

    /**
     * Finds the nearest images.
     *
     * @param query a vector of {@link #dimension()} finite numbers, not all zero; of any length
     * @param k how many to find
     * @return at most k matches, best first
     */
    public List<Match> search(float[] query, int k) {
        return search(query, k, candidate -> true);
    }

    /**
     * Finds the nearest of the images that a filter accepts.
     *
     * @param query a vector of {@link #dimension()} finite numbers, not all zero; of any length
     * @param k how many to find
     * @param filter which images count; called on this thread
     * @return at most k matches, best first
     */
    public List<Match> search(float[] query, int k, Filter filter) {
        Snapshot now = current();
        if (k < 1) {
            throw new IllegalArgumentException("k is " + k + "; expected at least 1");
        }
        return now.search(unit(query, now.dimension), k, Objects.requireNonNull(filter, "filter"));
    }

    /**
     * Reads the index again if it has changed since.
     *
     * @return whether it had changed
     * @throws IOException if it cannot be read; the state before remains
     */
    public synchronized boolean reload() throws IOException {
        Snapshot fresh = database.read(current());
        if (fresh == null) {
            return false;
        }
        snapshot = fresh;
        return true;
    }

    /** Frees the memory; a later search is an error. */
    @Override
    public synchronized void close() {
        snapshot = null;
    }

    private Snapshot current() {
        Snapshot now = snapshot;
        if (now == null) {
            throw new IllegalStateException("the index is closed");
        }
        return now;
    }

    private static float[] unit(float[] query, int dimension) {
        if (Objects.requireNonNull(query, "query").length != dimension) {
            throw new IllegalArgumentException(
                    "got a vector of " + query.length + " numbers; this index holds vectors of " + dimension);
        }
        double squares = 0;
        for (float number : query) {
            squares += (double) number * number;
        }
        if (!(squares > 0) || Double.isInfinite(squares)) {
            throw new IllegalArgumentException("a cosine needs finite numbers that are not all zero");
        }
        float[] unit = new float[dimension];
        for (int i = 0; i < dimension; i++) {
            unit[i] = (float) (query[i] / Math.sqrt(squares));
        }
        return unit;
    }
}
