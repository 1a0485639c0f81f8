package org.pyimgret.encoder;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Future;

/**
 * Turns images into L2-normalised embeddings with a model that Python trained.
 *
 * <p>Safe for use by several threads. Close it to free the off-heap memory: an encode that is running
 * finishes first, a later one is an {@link IllegalStateException}. Networks run on threads of the
 * encoder's own. Nothing process-wide is set, except that BLAS uses a share of the processors for each
 * product while {@link #encodeAll} runs networks in parallel. {@link #oneDnn()} says whether
 * convolutions can run on the fast path in this process, and what to set where they cannot.
 *
 * <pre>{@code
 * try (ImageEncoder encoder = ImageEncoder.load(Path.of("index/model.zip"));
 *         CosineIndex index = CosineIndex.open(Path.of("index"))) {
 *     index.search(encoder.encode(Path.of("query.jpg")), 5).forEach(System.out::println);
 * }
 * }</pre>
 */
public final class ImageEncoder implements AutoCloseable {

    private static final int CONVOLUTIONAL_BATCH = 16;
    private static final int SMALLEST_BATCH = 64;
    private static final int LARGEST_BATCH = 512;
    private static final int BATCH_VALUES = 1 << 20; // of a network's input, 4 MB

    private final ImagePreprocessor preprocessor;
    private final EmbeddingNetwork network;
    private final Workers workers;
    private final int threads;
    private final int batchSize;

    private ImageEncoder(EmbeddingNetwork network, int threads, int batchSize) {
        this.preprocessor = network.description.preprocessor;
        this.network = network;
        this.workers = new Workers(threads);
        this.threads = threads;
        this.batchSize = batchSize;
    }

    /**
     * Loads a model zip with the default settings.
     *
     * @param model the zip
     * @return the encoder
     * @throws ModelFormatException if the file is damaged, too new, or could run code
     * @throws IOException if it cannot be read
     */
    public static ImageEncoder load(Path model) throws IOException {
        return builder().load(model);
    }

    /**
     * Starts with settings other than the default.
     *
     * @return a builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /** Settings of an encoder. */
    public static final class Builder {

        private int threads = Runtime.getRuntime().availableProcessors();
        private int batchSize; // 0: by the kind of network

        private Builder() {}

        /**
         * Sets how many threads decode images and run networks; all share the weights.
         *
         * @param count by default the number of processors
         * @return this
         */
        public Builder threads(int count) {
            threads = positive("threads", count);
            return this;
        }

        /**
         * Sets how many images a network sees at a time in {@link ImageEncoder#encodeAll}.
         *
         * @param count by default 16 for networks of convolutions, whose maps then stay in the
         *     processor's cache, and 64 to 512 for others, the more the smaller the images are
         * @return this
         */
        public Builder batchSize(int count) {
            batchSize = positive("batchSize", count);
            return this;
        }

        /**
         * Loads a model zip.
         *
         * @param model the zip
         * @return the encoder
         * @throws ModelFormatException if the file is damaged, too new, or could run code
         * @throws IOException if it cannot be read
         */
        public ImageEncoder load(Path model) throws IOException {
            EmbeddingNetwork network = EmbeddingNetwork.load(model);
            if (network.description.preprocessor == null) {
                network.close();
                throw new ModelFormatException(
                        model + ": the model was trained on vectors: it has no preprocessing for images.");
            }
            return new ImageEncoder(network, threads, batchSize(network.description));
        }

        private int batchSize(ModelDescription description) {
            if (batchSize > 0) {
                return batchSize;
            }
            if (description.layout == ModelDescription.Layout.CONVOLUTIONAL) {
                return CONVOLUTIONAL_BATCH;
            }
            // Calling the layers costs more than small images do; big ones cost memory.
            return Math.max(SMALLEST_BATCH, Math.min(LARGEST_BATCH, BATCH_VALUES / description.inputSize()));
        }

        private static int positive(String name, int count) {
            if (count < 1) {
                throw new IllegalArgumentException(name + " is " + count + "; expected at least 1");
            }
            return count;
        }
    }

    /**
     * Numbers in an embedding.
     *
     * @return the dimension
     */
    public int dimension() {
        return network.description.embeddingSize;
    }

    /**
     * What happens to an image before the network sees it.
     *
     * @return the preprocessor
     */
    public ImagePreprocessor preprocessor() {
        return preprocessor;
    }

    /**
     * Says whether the network runs on oneDNN 3, several times as fast as on Deeplearning4j.
     *
     * @return "on", or why not and what the host can set
     */
    public String oneDnn() {
        return network.engine();
    }

    /**
     * Embeds an image file.
     *
     * @param file the file's content
     * @return the embedding, {@link #dimension()} long, of length 1
     * @throws ImageDecodeException if it cannot be read as an image
     */
    public float[] encode(byte[] file) throws ImageDecodeException {
        return embed(preprocessor.apply(file));
    }

    /**
     * Embeds an image file.
     *
     * @param file the file
     * @return the embedding, {@link #dimension()} long, of length 1
     * @throws ImageDecodeException if it cannot be read as an image
     * @throws IOException if it cannot be read at all
     */
    public float[] encode(Path file) throws IOException {
        return embed(preprocessor.apply(file));
    }

    /**
     * Embeds an image.
     *
     * @param image any image, upright
     * @return the embedding, {@link #dimension()} long, of length 1
     * @throws ImageDecodeException if it has too many pixels
     */
    public float[] encode(BufferedImage image) throws ImageDecodeException {
        return embed(preprocessor.apply(image));
    }

    /**
     * Embeds many images, decoding and running the network on all threads.
     *
     * @param images each a {@code byte[]}, a {@code Path} or a {@code BufferedImage}
     * @return their embeddings, in the same order
     * @throws ImageDecodeException if one cannot be read as an image; the message says which
     * @throws IOException if one cannot be read at all
     * @throws IllegalArgumentException if one is null or of another type; the message says which
     */
    public List<float[]> encodeAll(List<?> images) throws IOException {
        Objects.requireNonNull(images, "images");
        network.checkOpen();
        List<Future<float[][]>> batches = new ArrayList<>();
        List<float[]> embeddings = new ArrayList<>(images.size());
        // A few batches ahead: enough for all threads, and bounded in memory.
        int step = Math.max(1, Math.min(batchSize, (images.size() + threads - 1) / threads));
        int others = Math.min(threads, images.size()) - 1;
        for (int start = 0; start < images.size(); start += step) {
            int from = start;
            int to = Math.min(images.size(), start + step);
            batches.add(workers.submit(() -> encodeBatch(images, from, to, others)));
            if (batches.size() > threads) {
                Collections.addAll(embeddings, Workers.result(batches.remove(0)));
            }
        }
        for (Future<float[][]> batch : batches) {
            Collections.addAll(embeddings, Workers.result(batch));
        }
        return embeddings;
    }

    private float[][] encodeBatch(List<?> images, int from, int to, int others) throws IOException {
        List<float[]> tensors = new ArrayList<>(to - from);
        for (int i = from; i < to; i++) {
            try {
                tensors.add(prepare(images.get(i)));
            } catch (ImageDecodeException e) {
                throw new ImageDecodeException("image " + i + ": " + e.getMessage(), e);
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("image " + i + ": " + e.getMessage(), e);
            }
        }
        return Cores.shared(others, () -> network.embed(tensors, others > 0));
    }

    private float[] prepare(Object image) throws IOException {
        if (image instanceof Path) {
            return preprocessor.apply((Path) image);
        }
        if (image instanceof byte[]) {
            return preprocessor.apply((byte[]) image);
        }
        if (image instanceof BufferedImage) {
            return preprocessor.apply((BufferedImage) image);
        }
        String what = image == null ? "null" : image.getClass().getName();
        throw new IllegalArgumentException("got " + what + "; expected a Path, a byte[] or a BufferedImage");
    }

    private float[] embed(float[] tensor) {
        try {
            return Workers.result(workers.submit(() -> network.embed(List.of(tensor), false)))[0];
        } catch (IOException e) {
            throw new AssertionError("a network reads no file", e);
        }
    }

    /** Waits for running calls, and frees the memory; a later call is an error. */
    @Override
    public synchronized void close() {
        workers.close();
        network.close();
    }
}
