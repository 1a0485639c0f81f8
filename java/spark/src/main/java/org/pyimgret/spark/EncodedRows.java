package org.pyimgret.spark;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.util.LongAccumulator;
import org.pyimgret.encoder.TensorEncoder;

/** Rows become embeddings, a batch at a time: no more than one batch is in memory. */
final class EncodedRows implements Iterator<Embedding> {

    private final TensorEncoder encoder;
    private final Records records;
    private final Iterator<Records.Outcome> rows;
    private final int batchSize;
    private final boolean strict;
    private final LongAccumulator done;
    private final Deque<Embedding> ready = new ArrayDeque<>();

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
    public Embedding next() {
        if (!hasNext()) {
            throw new NoSuchElementException("all rows are encoded");
        }
        return ready.remove();
    }

    private void encode() {
        List<Records.Outcome> good = new ArrayList<>(batchSize);
        int taken = 0;
        while (taken < batchSize && rows.hasNext()) {
            Records.Outcome outcome = rows.next();
            taken++;
            if (outcome.reason() != null) {
                refuse(outcome.row(), outcome.reason());
            } else if (!finite(outcome.values())) {
                refuse(outcome.row(), "the values are not all finite numbers");
            } else {
                good.add(outcome);
            }
        }
        if (!good.isEmpty()) {
            embed(good);
        }
        done.add(taken);
    }

    private void embed(List<Records.Outcome> good) {
        List<float[]> values = new ArrayList<>(good.size());
        good.forEach(outcome -> values.add(outcome.values()));
        float[][] vectors = encoder.encode(values);
        for (int i = 0; i < good.size(); i++) {
            int row = good.get(i).row();
            if (finite(vectors[i])) {
                ready.add(Embedding.of(records.key(row), vectors[i]));
            } else {
                refuse(row, "the embedding is not finite: the values are too large");
            }
        }
    }

    private void refuse(int row, String reason) {
        if (strict) {
            throw new IllegalArgumentException(records.key(row) + ": " + reason);
        }
        ready.add(Embedding.broken(records.key(row), reason));
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
