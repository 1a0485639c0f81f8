package org.pyimgret.encoder;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * Turns prepared pictures, or vectors, into L2-normalised embeddings: {@link ImageEncoder} without
 * its preprocessing and its threads.
 *
 * <p>Safe for use by several threads; all share the weights, and the memory of a run is used again
 * for the next.
 */
public final class TensorEncoder implements AutoCloseable {

    private final ModelDescription description;
    private final EmbeddingNetwork network;

    private TensorEncoder(ModelDescription description, EmbeddingNetwork network) {
        this.description = description;
        this.network = network;
    }

    /**
     * Loads a model zip.
     *
     * @param model the zip
     * @return the encoder
     * @throws ModelFormatException if the file is broken, too new, or could run code
     * @throws IOException if it cannot be read
     */
    public static TensorEncoder load(Path model) throws IOException {
        ModelFile file = ModelFile.open(model);
        ModelDescription description = ModelDescription.parse(file.metadata());
        return new TensorEncoder(description, EmbeddingNetwork.of(file.network(), description));
    }

    /**
     * Numbers in one input.
     *
     * @return height x width x channels
     */
    public int inputSize() {
        return description.height * description.width * description.channels;
    }

    /**
     * Numbers in an embedding.
     *
     * @return the dimension
     */
    public int dimension() {
        return description.embeddingSize;
    }

    /**
     * Embeds inputs, all in one batch.
     *
     * @param tensors each (height, width, channels) in that order, scaled
     * @return their embeddings, in the same order, each of length 1
     */
    public float[][] encode(List<float[]> tensors) {
        return network.embed(tensors);
    }

    /** Gives the memory of the weights back; no thread may be encoding. */
    @Override
    public void close() {
        network.close();
    }
}
