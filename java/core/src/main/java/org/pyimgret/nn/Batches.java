package org.pyimgret.nn;

import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.Memory;

/**
 * Shuffled batches of images and their targets, the next one made while this one trains.
 *
 * <p>Order and corruption are functions of the seed, the epoch and an image's place: the same
 * epoch can be begun anew, or in its middle, and brings the same values.
 */
final class Batches implements AutoCloseable {

    private final Images images;
    private final Targets targets;
    private final Corruption corruption;
    private final int batchSize;
    private final long seed;
    private final boolean shuffle;
    private final ExecutorService ahead = Executors.newSingleThreadExecutor(r -> {
        Thread t = new Thread(r, "pyimgret-batches");
        t.setDaemon(true);
        return t;
    });
    private final Batch[] slots = new Batch[2];
    private final float[] clean;
    private final float[] changed;
    private int[] order = new int[0];
    private long orderEpoch = -1;

    Batches(Images images, Targets targets, Corruption corruption, int batchSize, long seed, boolean shuffle) {
        if (images.count() < 1) {
            throw new IllegalArgumentException("no images to train on");
        }
        this.images = images;
        this.targets = targets;
        this.corruption = corruption;
        this.batchSize = (int) Math.min(batchSize, images.count());
        this.seed = seed;
        this.shuffle = shuffle;
        this.clean = new float[images.size()];
        this.changed = new float[images.size()];
        for (int i = 0; i < slots.length; i++) {
            slots[i] = new Batch(this.batchSize);
        }
    }

    /** What one iteration trains on. */
    final class Batch {
        private final float[] x;
        private final float[] y;
        private final INDArray allFeatures;
        private final INDArray allLabels;
        INDArray features;
        INDArray labels;
        int rows;

        private Batch(int capacity) {
            x = values(capacity, images.size());
            y = values(capacity, targets.size());
            // NB: outside any workspace, and kept: the memory is written again and again.
            allFeatures = Nd4j.createUninitializedDetached(DataType.FLOAT, images.shape(capacity));
            allLabels = Nd4j.createUninitializedDetached(DataType.FLOAT, targets.shape(capacity));
        }

        private Batch fill(long epoch, int from, int to) {
            rows = to - from;
            for (int i = 0; i < rows; i++) {
                row(epoch, order[from + i], i);
            }
            features = put(x, allFeatures, images.shape(rows), images.size() * rows);
            labels = put(y, allLabels, targets.shape(rows), targets.size() * rows);
            return this;
        }

        private void row(long epoch, int source, int at) {
            images.read(source, clean);
            targets.write(source, clean, y, at);
            float[] input = clean;
            if (corruption != null) {
                SplittableRandom random = new SplittableRandom(Seeds.mix(Seeds.mix(seed, epoch), source));
                corruption.apply(clean, changed, images.height(), images.width(), images.channels(), random);
                input = changed;
            }
            images.arrange(input, x, at * images.size());
        }
    }

    private static float[] values(int rows, int size) {
        if ((long) rows * size > Integer.MAX_VALUE / Float.BYTES) {
            throw new IllegalArgumentException("a batch of " + rows + " rows of " + size
                    + " numbers is larger than the "
                    + Integer.MAX_VALUE / Float.BYTES + " numbers that Java can address; use a batch_size of at most "
                    + Integer.MAX_VALUE / Float.BYTES / size);
        }
        return new float[rows * size];
    }

    private static INDArray put(float[] values, INDArray all, long[] shape, int length) {
        Memory.floats(all.data().address(), length).put(values, 0, length);
        return shape[0] == all.size(0) ? all : all.get(org.nd4j.linalg.indexing.NDArrayIndex.interval(0, shape[0]));
    }

    int count() {
        int full = (int) ((images.count() + batchSize - 1) / batchSize);
        // NB: a last batch of one image has no variance to normalise by: it waits for another epoch's order.
        boolean single = images.count() % batchSize == 1 && batchSize > 1;
        return single && full > 1 ? full - 1 : full;
    }

    /** Most rows of a batch. */
    int rows() {
        return batchSize;
    }

    /** Begins making a batch; at most two may be in use at a time. */
    Future<Batch> request(long epoch, int index) {
        return ahead.submit(() -> {
            arrangeOrder(epoch);
            int from = index * batchSize;
            int to = (int) Math.min(images.count(), (long) from + batchSize);
            return slots[index % slots.length].fill(epoch, from, to);
        });
    }

    static <T> T await(Future<T> request) {
        try {
            return request.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for a batch", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("a batch could not be made: " + e.getCause(), e.getCause());
        }
    }

    /** Returns when nothing is being made any more, whatever became of it. */
    void awaitAll() {
        await(ahead.submit(() -> null));
    }

    private void arrangeOrder(long epoch) {
        if (epoch == orderEpoch) {
            return;
        }
        order = IntStream.range(0, Math.toIntExact(images.count())).toArray();
        if (shuffle) {
            shuffle(order, Seeds.mix(seed, epoch));
        }
        orderEpoch = epoch;
    }

    /** Fisher and Yates's shuffle (Durstenfeld 1964), from the seed alone. */
    static void shuffle(int[] order, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = order.length - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            int t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
    }

    @Override
    public void close() {
        // NB: the thread ahead may be writing into what is freed here.
        awaitAll();
        ahead.shutdown();
        for (Batch slot : slots) {
            slot.allFeatures.close();
            slot.allLabels.close();
        }
    }
}
