package org.pyimgret.spark;

import java.io.IOException;
import org.apache.spark.broadcast.Broadcast;
import org.deeplearning4j.core.loader.DataSetLoader;
import org.nd4j.common.loader.Source;
import org.nd4j.linalg.dataset.DataSet;
import org.pyimgret.nn.Examples;
import org.pyimgret.nn.Json;

/**
 * Makes the batches of a worker, on the worker: only the names of batches are sent.
 *
 * <p>The name is {@code epoch-first-rows}, rows {@code first} and on of the epoch's order, which
 * every worker knows from the seed.
 */
final class ExampleLoader implements DataSetLoader {

    private static final long serialVersionUID = 1L;

    private final Broadcast<Records> records;
    private final Broadcast<int[]> labels;
    private final String dataset;
    private final String settings;
    private final long cacheBytes;
    private final int run;
    private final long seed;
    private transient Examples examples;

    ExampleLoader(
            Broadcast<Records> records, Broadcast<int[]> labels, String dataset, String settings, long cacheBytes) {
        this.records = records;
        this.labels = labels;
        this.dataset = dataset;
        this.settings = settings;
        this.cacheBytes = cacheBytes;
        this.seed = Settings.required(Json.parse(settings), "seed").asLong();
        Records all = records.value();
        // Data that no executor can hold is shuffled in runs, so that all of a chunk that is read is used.
        boolean fits = (long) all.count() * all.size() * Float.BYTES <= cacheBytes;
        this.run = fits ? 1 : Math.min(16, all.chunkRows());
    }

    static String name(long epoch, int first, int rows) {
        return epoch + "-" + first + "-" + rows;
    }

    @Override
    public synchronized DataSet load(Source source) throws IOException {
        String[] name = source.getPath().split("-");
        long epoch = Long.parseLong(name[0]);
        int first = Integer.parseInt(name[1]);
        if (examples == null) {
            examples = new Examples(Json.parse(settings));
        }
        examples.seed(epoch, first);
        int[] order = Orders.of(dataset, records.value().count(), run, seed, epoch);
        return batch(epoch, order, first, Integer.parseInt(name[2]));
    }

    /** The last epoch's order, shared by the tasks of an executor. */
    private static final class Orders {

        private static String name = "";
        private static int[] order;

        static synchronized int[] of(String dataset, int count, int run, long seed, long epoch) {
            String wanted = dataset + '/' + seed + '/' + epoch;
            if (!wanted.equals(name)) {
                order = Examples.order(count, run, seed, epoch);
                name = wanted;
            }
            return order;
        }
    }

    private DataSet batch(long epoch, int[] order, int first, int rows) throws IOException {
        float[][] values = new float[rows][examples.size()];
        int[] sources = new int[rows];
        int[] classes = labels == null ? null : new int[rows];
        for (int i = 0; i < rows; i++) {
            sources[i] = order[first + i];
            ChunkCache.row(dataset, records.value(), sources[i], cacheBytes, values[i]);
            if (classes != null) {
                classes[i] = labels.value()[sources[i]];
            }
        }
        return examples.make(values, sources, classes, epoch);
    }
}
