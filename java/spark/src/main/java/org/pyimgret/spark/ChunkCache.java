package org.pyimgret.spark;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The chunks of data that an executor has read; the least recently used are dropped first.
 *
 * <p>One for each process, so that tasks that run side by side share it.
 */
final class ChunkCache {

    private static final ChunkCache INSTANCE = new ChunkCache();

    private final Map<String, Object> chunks = new LinkedHashMap<>(64, 0.75f, true);
    private long bytes;

    private ChunkCache() {}

    /** Copies one row; its chunk is read from the file system unless it is in the cache. */
    static void row(String dataset, Records records, int row, long limit, float[] out) throws IOException {
        int rows = records.chunkRows();
        int chunk = row / rows;
        Object values = INSTANCE.chunk(dataset + '/' + chunk, limit);
        if (values == null) {
            int first = chunk * rows;
            values = records.load(first, Math.min(rows, records.count() - first));
            INSTANCE.store(dataset + '/' + chunk, values, limit);
        }
        records.copy(values, row - chunk * rows, out);
    }

    private synchronized Object chunk(String name, long limit) {
        return limit > 0 ? chunks.get(name) : null;
    }

    private synchronized void store(String name, Object values, long limit) {
        if (chunks.put(name, values) == null) {
            bytes += size(values);
        }
        var oldest = chunks.entrySet().iterator();
        while (bytes > limit && oldest.hasNext()) {
            bytes -= size(oldest.next().getValue());
            oldest.remove();
        }
    }

    private static long size(Object values) {
        return values instanceof byte[] ? ((byte[]) values).length : (long) Float.BYTES * ((float[]) values).length;
    }
}
