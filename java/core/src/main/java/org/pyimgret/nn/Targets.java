package org.pyimgret.nn;

import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;

/** What a network is to answer: the image itself, a class, or a vector of its own. */
interface Targets {

    /** Values in one target. */
    int size();

    /** The shape of so many targets. */
    long[] shape(long rows);

    /** Writes the target of a row, given the row's clean image, to place {@code at} of a batch. */
    void write(int source, float[] clean, float[] out, int at);

    /** Makes the targets that settings describe: {@code kind} is input, classes or vectors. */
    static Targets of(JsonNode settings, Images images) {
        String kind = Json.required(settings, "kind").asText();
        switch (kind) {
            case "input":
                return new Reconstruction(images);
            case "classes":
                return new Classes(settings);
            case "vectors":
                return new Vectors(settings);
            default:
                throw new IllegalArgumentException("unknown target '" + kind + "'; known: [classes, input, vectors]");
        }
    }

    /** The clean image. */
    final class Reconstruction implements Targets {
        private final Images images;

        Reconstruction(Images images) {
            this.images = images;
        }

        @Override
        public int size() {
            return images.size();
        }

        @Override
        public long[] shape(long rows) {
            return images.shape(rows);
        }

        @Override
        public void write(int source, float[] clean, float[] out, int at) {
            images.arrange(clean, out, at * images.size());
        }
    }

    /** One of so many classes, as a vector that is one at its place (times the class's weight). */
    final class Classes implements Targets {
        private final int count;
        private final IntPointer labels;

        Classes(JsonNode settings) {
            count = Json.required(settings, "classes").asInt();
            labels = Memory.ints(
                    Json.required(settings, "address").asLong(),
                    Json.required(settings, "count").asLong());
        }

        @Override
        public int size() {
            return count;
        }

        @Override
        public long[] shape(long rows) {
            return new long[] {rows, count};
        }

        @Override
        public void write(int source, float[] clean, float[] out, int at) {
            Arrays.fill(out, at * count, (at + 1) * count, 0f);
            out[at * count + labels.get(source)] = 1f;
        }
    }

    /** A vector for each row. */
    final class Vectors implements Targets {
        private final int size;
        private final FloatPointer values;

        Vectors(JsonNode settings) {
            size = Json.required(settings, "size").asInt();
            values = Memory.floats(
                    Json.required(settings, "address").asLong(),
                    Json.required(settings, "count").asLong() * size);
        }

        @Override
        public int size() {
            return size;
        }

        @Override
        public long[] shape(long rows) {
            return new long[] {rows, size};
        }

        @Override
        public void write(int source, float[] clean, float[] out, int at) {
            values.position((long) source * size).get(out, at * size, size);
        }
    }
}
