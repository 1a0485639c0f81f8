package org.pyimgret.nn;

import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.node.ObjectNode;
import org.pyimgret.engine.Memory;

/**
 * Makes data sets out of rows that come from anywhere, as {@link Trainer} makes its batches out of
 * the caller's memory: the same layout, order and corruption for the same seed.
 */
public final class Examples {

    private final Images images;
    private final Corruption corruption;
    private final int classes;
    private final long seed;

    /**
     * Prepares.
     *
     * @param settings {@code height, width, channels, layout, seed}, {@code classes} when the
     *     target is a class and not the row itself, and optionally {@code corruption}
     */
    public Examples(JsonNode settings) {
        ObjectNode shape = settings.deepCopy();
        // No memory of the caller's: the rows are handed in.
        this.images = new Images(shape.put("address", 0L).put("count", 0L).put("dtype", "float32"));
        this.corruption = Json.has(settings, "corruption") ? new Corruption(settings.get("corruption")) : null;
        this.classes = settings.path("classes").asInt(0);
        this.seed = Json.required(settings, "seed").asLong();
    }

    /**
     * Says how long a row is.
     *
     * @return height x width x channels
     */
    public int size() {
        return images.size();
    }

    /**
     * Gives an epoch's order.
     *
     * @param count rows there are
     * @param run neighbouring rows that stay together; 1 mixes fully
     * @param seed of the training
     * @param epoch its number
     * @return the rows' numbers, mixed
     */
    public static int[] order(int count, int run, long seed, long epoch) {
        int[] runs = IntStream.range(0, (count + run - 1) / run).toArray();
        Batches.shuffle(runs, Seeds.mix(seed, epoch));
        int[] order = new int[count];
        int at = 0;
        for (int r : runs) {
            for (int i = r * run; i < Math.min(count, (r + 1) * run); i++) {
                order[at++] = i;
            }
        }
        return order;
    }

    /**
     * Makes a data set.
     *
     * @param rows each (height, width, channels)
     * @param sources each row's number in the whole data: its corruption follows from it
     * @param labels each row's class, or null when the rows themselves are the target
     * @param epoch its number
     * @return features and labels as the network wants them
     */
    public DataSet make(float[][] rows, int[] sources, int[] labels, long epoch) {
        int target = labels == null ? size() : classes;
        float[] x = new float[rows.length * size()];
        float[] y = new float[rows.length * target];
        float[] changed = new float[size()];
        for (int i = 0; i < rows.length; i++) {
            images.arrange(corrupted(rows[i], changed, sources[i], epoch), x, i * size());
            if (labels == null) {
                images.arrange(rows[i], y, i * target);
            } else {
                y[i * target + labels[i]] = 1;
            }
        }
        long[] shape = images.shape(rows.length);
        long[] targets = labels == null ? shape : new long[] {rows.length, classes};
        return new DataSet(array(x, shape), array(y, targets));
    }

    /**
     * Seeds what is random in an iteration (dropout) on the thread that trains.
     *
     * @param epoch its number
     * @param iteration its number in the epoch
     */
    public void seed(long epoch, long iteration) {
        Seeds.seedNd4j(Seeds.mix(Seeds.mix(seed, epoch), iteration));
    }

    private float[] corrupted(float[] clean, float[] changed, int source, long epoch) {
        if (corruption == null) {
            return clean;
        }
        SplittableRandom random = new SplittableRandom(Seeds.mix(Seeds.mix(seed, epoch), source));
        corruption.apply(clean, changed, images.height(), images.width(), images.channels(), random);
        return changed;
    }

    private static INDArray array(float[] values, long[] shape) {
        INDArray array = Nd4j.createUninitializedDetached(DataType.FLOAT, shape);
        Memory.floats(array.data().address(), values.length).put(values, 0, values.length);
        return array;
    }
}
