package org.pyimgret.index;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * All vectors of an index at one revision, in memory; read by any number of threads.
 *
 * <p>Vectors are stored in blocks of {@value #BLOCK} rows, each dimension by dimension: a sum
 * then runs over neighbouring numbers, which the JVM turns into vector instructions (it does not do
 * so for a dot product along a row, whose order of additions is fixed).
 */
final class Snapshot {

    static final int BLOCK = 4096;
    private static final int PARALLEL_ROWS = 4 * BLOCK;

    final String uuid;
    final long revision;
    final int dimension;
    final String modelChecksum;

    private final List<float[]> blocks = new ArrayList<>();
    private final List<String> ids = new ArrayList<>();
    private final List<String> keys = new ArrayList<>();
    private final List<String> metadata = new ArrayList<>();

    Snapshot(String uuid, long revision, int dimension, String modelChecksum) {
        this.uuid = uuid;
        this.revision = revision;
        this.dimension = dimension;
        this.modelChecksum = modelChecksum;
    }

    int size() {
        return keys.size();
    }

    /** Adds a row; only while the snapshot is being filled. */
    void add(String id, String key, String metadataJson, byte[] vector) {
        int row = keys.size() % BLOCK;
        if (row == 0) {
            blocks.add(new float[BLOCK * dimension]);
        }
        float[] block = blocks.get(blocks.size() - 1);
        ByteBuffer numbers = ByteBuffer.wrap(vector).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < dimension; i++) {
            block[i * BLOCK + row] = numbers.getFloat();
        }
        ids.add(id);
        keys.add(key);
        metadata.add(metadataJson);
    }

    /** The k nearest that a filter accepts, best first; equal scores in the order of their rows. */
    List<Match> search(float[] unit, int k, Filter filter) {
        float[] scores = scores(unit);
        PriorityQueue<Match> best = new PriorityQueue<>(Match.WORST_FIRST);
        for (int row = 0; row < size(); row++) {
            if (best.size() == k && scores[row] <= best.peek().score()) {
                continue;
            }
            Match match = new Match(row, ids.get(row), keys.get(row), scores[row], metadata.get(row));
            if (filter.accepts(match)) {
                best.add(match);
                if (best.size() > k) {
                    best.remove();
                }
            }
        }
        List<Match> matches = new ArrayList<>(best);
        matches.sort(Match.WORST_FIRST.reversed());
        return Collections.unmodifiableList(matches);
    }

    private float[] scores(float[] unit) {
        float[] scores = new float[blocks.size() * BLOCK];
        IntStream all = IntStream.range(0, blocks.size());
        IntStream numbers = size() >= PARALLEL_ROWS ? all.parallel() : all;
        numbers.forEach(block -> score(blocks.get(block), unit, scores, block * BLOCK));
        return scores;
    }

    private static void score(float[] block, float[] unit, float[] scores, int to) {
        float[] sums = new float[BLOCK];
        int i = 0;
        for (; i + 4 <= unit.length; i += 4) {
            addFour(block, i * BLOCK, unit, i, sums);
        }
        for (; i < unit.length; i++) {
            addOne(block, i * BLOCK, unit[i], sums);
        }
        for (int row = 0; row < BLOCK; row++) {
            scores[to + row] = Math.max(-1, Math.min(1, sums[row]));
        }
    }

    private static void addFour(float[] block, int from, float[] unit, int i, float[] sums) {
        float a = unit[i];
        float b = unit[i + 1];
        float c = unit[i + 2];
        float d = unit[i + 3];
        for (int row = 0; row < BLOCK; row++) {
            int at = from + row;
            sums[row] +=
                    (a * block[at] + b * block[at + BLOCK]) + (c * block[at + 2 * BLOCK] + d * block[at + 3 * BLOCK]);
        }
    }

    private static void addOne(float[] block, int from, float factor, float[] sums) {
        for (int row = 0; row < BLOCK; row++) {
            sums[row] += factor * block[from + row];
        }
    }
}
