package org.pyimgret.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.nd4j.shade.jackson.databind.JsonNode;

/**
 * Images or vectors that lie in one of Hadoop's file systems, seen as numbered rows.
 *
 * <p>The object itself is small and travels to the executors; the data is read there, chunk by
 * chunk.
 */
public interface Records extends Serializable {

    /**
     * Finds the data that a job names.
     *
     * @param input {@code kind} (array or images), {@code path}, {@code hidden} (whether hidden
     *     files are taken), and {@code preprocessing} where there is one
     * @param hadoop which file systems there are
     * @return its rows
     * @throws IOException if it cannot be read
     */
    static Records of(JsonNode input, Configuration hadoop) throws IOException {
        return Settings.text(input, "kind", "").equals("images")
                ? ImageRecords.list(input, hadoop)
                : ArrayRecords.open(input, hadoop);
    }

    /**
     * Says how many rows there are.
     *
     * @return rows
     */
    int count();

    /**
     * Says how many hidden files and folders were left out.
     *
     * @return their number
     */
    default int hiddenSkipped() {
        return 0;
    }

    /**
     * Says how long a row is.
     *
     * @return height x width x channels
     */
    int size();

    /**
     * Says how many neighbouring rows are best read at once.
     *
     * @return rows of a chunk
     */
    int chunkRows();

    /**
     * Names a row.
     *
     * @param row its number
     * @return the key that the index will have
     */
    String key(int row);

    /**
     * Says which class a row belongs to by its place.
     *
     * @param row its number
     * @return the name of the top folder, empty where there is none
     */
    String folder(int row);

    /**
     * Reads neighbouring rows as they are kept in memory: bytes, or floats that are scaled already.
     *
     * @param hadoop which file systems there are
     * @param first the first row
     * @param rows how many
     * @return what {@link #copy} reads
     * @throws IOException if they cannot be read
     */
    Object load(Configuration hadoop, int first, int rows) throws IOException;

    /**
     * Copies a row out of what {@link #load} gave, as the network sees it.
     *
     * @param chunk a result of load
     * @param row its place in the chunk
     * @param out receives (height, width, channels)
     */
    void copy(Object chunk, int row, float[] out);

    /**
     * Reads rows one by one; one that is broken says why and does not end the reading.
     *
     * @param hadoop which file systems there are
     * @param first the first row
     * @param rows how many
     * @return the rows in order
     */
    Iterator<Outcome> read(Configuration hadoop, int first, int rows);

    /** A row, or the reason why there is none. */
    final class Outcome {

        private final int row;
        private final float[] values;
        private final String reason;

        private Outcome(int row, float[] values, String reason) {
            this.row = row;
            this.values = values;
            this.reason = reason;
        }

        static Outcome good(int row, float[] values) {
            return new Outcome(row, values, null);
        }

        static Outcome broken(int row, String reason) {
            return new Outcome(row, null, reason);
        }

        /**
         * Says which row this is.
         *
         * @return its number
         */
        public int row() {
            return row;
        }

        /**
         * Gives the row.
         *
         * @return (height, width, channels), or null
         */
        public float[] values() {
            return values;
        }

        /**
         * Says what is wrong.
         *
         * @return the reason, null for a good row
         */
        public String reason() {
            return reason;
        }
    }
}
