package org.pyimgret.encoder;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Turns prepared images, or vectors, into L2-normalised embeddings: {@link ImageEncoder} without
 * its preprocessing and its threads.
 *
 * <p>Safe for use by several threads; all share the weights, and the memory of a run is used again
 * for the next.
 */
public final class TensorEncoder implements AutoCloseable {

    private final EmbeddingNetwork network;

    private TensorEncoder(EmbeddingNetwork network) {
        this.network = network;
    }

    /**
     * Loads a model zip.
     *
     * @param model the zip
     * @return the encoder
     * @throws ModelFormatException if the file is damaged, too new, or could run code
     * @throws IOException if it cannot be read
     */
    public static TensorEncoder load(Path model) throws IOException {
        return new TensorEncoder(EmbeddingNetwork.load(model));
    }

    /**
     * Numbers in one input.
     *
     * @return height x width x channels
     */
    public int inputSize() {
        return network.description.inputSize();
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
     * Embeds inputs, all in one batch.
     *
     * @param tensors each (height, width, channels) in that order, scaled: {@link #inputSize()}
     *     finite numbers
     * @return their embeddings, in the same order, each of length 1
     * @throws IllegalArgumentException if a tensor is null, has another length, or holds a NaN or an
     *     infinity; the message names it
     * @throws IllegalStateException if the encoder is closed
     */
    public float[][] encode(List<float[]> tensors) {
        List<float[]> checked = new ArrayList<>(Objects.requireNonNull(tensors, "tensors"));
        for (int i = 0; i < checked.size(); i++) {
            check(i, checked.get(i));
        }
        return network.embed(checked, false);
    }

    private void check(int index, float[] tensor) {
        if (tensor == null || tensor.length != inputSize()) {
            String got = tensor == null ? "null" : tensor.length + " numbers";
            throw new IllegalArgumentException("tensors[" + index + "]: got " + got + "; expected " + inputSize()
                    + " numbers (height x width x channels)");
        }
        for (int i = 0; i < tensor.length; i++) {
            if (!Float.isFinite(tensor[i])) {
                throw new IllegalArgumentException(
                        "tensors[" + index + "][" + i + "]: got " + tensor[i] + "; expected finite numbers");
            }
        }
    }

    /** Waits for running calls, and frees the weights; a later encode is an error. */
    @Override
    public void close() {
        network.close();
    }
}
