package org.pyimgret.spark;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.LongAccumulator;
import org.nd4j.shade.guava.collect.Iterators;
import org.pyimgret.encoder.TensorEncoder;

/** The rows of the output, encoded a batch at a time: no more than one batch is in memory. */
final class EncodedRows {

    /** The key with its vector, or with the reason why there is none. */
    static final StructType SCHEMA = new StructType()
            .add("key", DataTypes.StringType)
            .add("vector", DataTypes.createArrayType(DataTypes.FloatType, false))
            .add("reason", DataTypes.StringType)
            .add("broken", DataTypes.BooleanType, false);

    private final TensorEncoder encoder;
    private final Records records;
    private final boolean strict;
    private final LongAccumulator done;

    EncodedRows(TensorEncoder encoder, Records records, boolean strict, LongAccumulator done) {
        this.encoder = encoder;
        this.records = records;
        this.strict = strict;
        this.done = done;
    }

    /** Encodes neighbouring rows, each batch when its first row is requested. */
    Iterator<Row> of(int first, int rows, int batchSize) {
        Iterator<List<Records.Outcome>> batches = Iterators.partition(records.read(first, rows), batchSize);
        return Iterators.concat(
                Iterators.transform(batches, batch -> encode(batch).iterator()));
    }

    private List<Row> encode(List<Records.Outcome> batch) {
        List<Row> encoded = new ArrayList<>(batch.size());
        List<Integer> good = new ArrayList<>(batch.size());
        List<float[]> values = new ArrayList<>(batch.size());
        for (Records.Outcome outcome : batch) {
            if (outcome.reason != null) {
                encoded.add(failed(outcome.row, outcome.reason));
            } else if (!finite(outcome.values)) {
                encoded.add(failed(outcome.row, "the values are not all finite numbers"));
            } else {
                good.add(outcome.row);
                values.add(outcome.values);
            }
        }
        float[][] vectors = encoder.encode(values);
        for (int i = 0; i < vectors.length; i++) {
            encoded.add(
                    finite(vectors[i])
                            ? RowFactory.create(records.key(good.get(i)), vectors[i], null, false)
                            : failed(good.get(i), "the embedding is not finite: the values are too large"));
        }
        done.add(batch.size());
        return encoded;
    }

    private Row failed(int row, String reason) {
        if (strict) {
            throw new IllegalArgumentException(records.key(row) + ": " + reason);
        }
        return RowFactory.create(records.key(row), null, reason, true);
    }

    private static boolean finite(float[] vector) {
        for (float v : vector) {
            if (!Float.isFinite(v)) {
                return false;
            }
        }
        return true;
    }
}
