package org.pyimgret.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.datavec.spark.util.SerializableHadoopConfig;
import org.nd4j.shade.jackson.databind.JsonNode;

/**
 * Images or vectors in one of Hadoop's file systems, seen as numbered rows.
 *
 * <p>The object itself is small and is sent to the executors, which read the data chunk by chunk.
 */
abstract class Records implements Serializable {

    private static final long serialVersionUID = 1L;

    private final SerializableHadoopConfig hadoop;

    Records(Configuration hadoop) {
        this.hadoop = new SerializableHadoopConfig(hadoop);
    }

    /**
     * Finds the data that a job names.
     *
     * @param input {@code kind} (array or images), {@code path}, {@code hidden} (whether hidden files
     *     are included), and {@code preprocessing} where there is one
     */
    static Records of(JsonNode input, Configuration hadoop) throws IOException {
        return Settings.text(input, "kind", "").equals("images")
                ? ImageRecords.list(input, hadoop)
                : ArrayRecords.open(input, hadoop);
    }

    /** The file systems that there are. */
    Configuration hadoop() {
        return hadoop.getConfiguration();
    }

    /** The number of rows. */
    abstract int count();

    /** The number of hidden files and folders that were skipped. */
    int hiddenSkipped() {
        return 0;
    }

    /** The number of values of a row: height x width x channels. */
    abstract int size();

    /** The number of neighbouring rows that are best read at once. */
    abstract int chunkRows();

    /** The key of a row in an index. */
    abstract String key(int row);

    /** The name of the top folder that a row is in, its class; empty where there is none. */
    abstract String folder(int row);

    /** Reads neighbouring rows as they are held in memory: bytes, or floats that are scaled already. */
    abstract Object load(int first, int rows) throws IOException;

    /** Copies row {@code row} of a chunk from {@link #load} to {@code out}: (height, width, channels). */
    abstract void copy(Object chunk, int row, float[] out);

    /** Reads rows one by one, in order; one that cannot be read gives its reason, and the next follows. */
    abstract Iterator<Outcome> read(int first, int rows);

    /** What is done with some neighbouring rows, on an executor. */
    interface Part<T> extends Serializable {
        Iterator<T> apply(Records records, int first, int rows) throws Exception;
    }

    /** Hands out the rows to the executors, so many for each task. */
    <T> JavaRDD<T> parts(JavaSparkContext spark, int partRows, Part<T> part) {
        Broadcast<Records> records = spark.broadcast(this);
        List<Integer> starts = new ArrayList<>();
        for (int first = 0; first < count(); first += partRows) {
            starts.add(first);
        }
        return spark.parallelize(starts, starts.size())
                .flatMap(first -> part.apply(
                        records.value(),
                        first,
                        Math.min(partRows, records.value().count() - first)));
    }

    /** A row, or the reason why there is none. */
    static final class Outcome implements Serializable {

        private static final long serialVersionUID = 1L;

        final int row;

        /** (height, width, channels), or null. */
        final float[] values;

        /** Null for a row that could be read. */
        final String reason;

        private Outcome(int row, float[] values, String reason) {
            this.row = row;
            this.values = values;
            this.reason = reason;
        }

        static Outcome good(int row, float[] values) {
            return new Outcome(row, values, null);
        }

        static Outcome failed(int row, String reason) {
            return new Outcome(row, null, reason);
        }
    }
}
