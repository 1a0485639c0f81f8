package org.pyimgret.spark;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.LongAccumulator;
import org.pyimgret.encoder.TensorEncoder;

/** The rows of the output, encoded a batch at a time: no more than one batch is in memory. */
final class EncodedRows implements Iterator<Row> {

    /** The key with its vector, or with the reason why there is none. */
    static final StructType SCHEMA = new StructType()
            .add("key", DataTypes.StringType)
            .add("vector", DataTypes.createArrayType(DataTypes.FloatType, false))
            .add("reason", DataTypes.StringType)
            .add("broken", DataTypes.BooleanType, false);

    private final TensorEncoder encoder;
    private final Records records;
    private final Iterator<Records.Outcome> rows;
    private final int batchSize;
    private final boolean strict;
    private final LongAccumulator done;
    private final Deque<Row> ready = new ArrayDeque<>();

    EncodedRows(
            TensorEncoder encoder,
            Records records,
            Iterator<Records.Outcome> rows,
            int batchSize,
            boolean strict,
            LongAccumulator done) {
        this.encoder = encoder;
        this.records = records;
        this.rows = rows;
        this.batchSize = batchSize;
        this.strict = strict;
        this.done = done;
    }

    @Override
    public boolean hasNext() {
        while (ready.isEmpty() && rows.hasNext()) {
            encode();
        }
        return !ready.isEmpty();
    }

    @Override
    public Row next() {
        if (!hasNext()) {
            throw new NoSuchElementException("all rows are encoded");
        }
        return ready.remove();
    }

    private void encode() {
        List<Integer> good = new ArrayList<>(batchSize);
        List<float[]> values = new ArrayList<>(batchSize);
        int taken = 0;
        for (; taken < batchSize && rows.hasNext(); taken++) {
            Records.Outcome outcome = rows.next();
            if (outcome.reason != null) {
                fail(outcome.row, outcome.reason);
            } else if (!finite(outcome.values)) {
                fail(outcome.row, "the values are not all finite numbers");
            } else {
                good.add(outcome.row);
                values.add(outcome.values);
            }
        }
        float[][] vectors = encoder.encode(values);
        for (int i = 0; i < vectors.length; i++) {
            if (finite(vectors[i])) {
                ready.add(RowFactory.create(records.key(good.get(i)), vectors[i], null, false));
            } else {
                fail(good.get(i), "the embedding is not finite: the values are too large");
            }
        }
        done.add(taken);
    }

    private void fail(int row, String reason) {
        if (strict) {
            throw new IllegalArgumentException(records.key(row) + ": " + reason);
        }
        ready.add(RowFactory.create(records.key(row), null, reason, true));
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
