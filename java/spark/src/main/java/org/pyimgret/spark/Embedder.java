package org.pyimgret.spark;

import org.bytedeco.javacpp.FloatPointer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.node.ObjectNode;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.Activations;
import org.pyimgret.nn.Images;
import org.pyimgret.nn.Json;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A saved model at work: rows to embeddings of length 1. One for each process and model. */
final class Embedder {

    private static final Map<String, Embedder> KNOWN = new HashMap<>();

    private final MultiLayerNetwork network;
    private final JsonNode input;
    private final int codeLayer;
    private final int dimension;

    private Embedder(ModelFile file) throws IOException {
        JsonNode model = Json.parse(file.metadata());
        this.network = (MultiLayerNetwork) file.network();
        this.input = Settings.required(model, "input");
        this.codeLayer = Settings.required(model, "code_layer").asInt();
        this.dimension = Settings.required(model, "embedding_size").asInt();
    }

    static Embedder of(byte[] zip) throws IOException {
        synchronized (KNOWN) {
            String name = checksum(zip);
            if (!KNOWN.containsKey(name)) {
                Path file = Files.createTempFile("pyimgret-model", ".zip");
                try {
                    Files.write(file, zip);
                    KNOWN.put(name, new Embedder(ModelFile.open(file)));
                } finally {
                    Files.delete(file);
                }
            }
            return KNOWN.get(name);
        }
    }

    /**
     * Gives the length of a row that the model takes.
     *
     * @return values
     */
    int inputSize() {
        return Settings.required(input, "height").asInt()
                * Settings.required(input, "width").asInt()
                * Settings.required(input, "channels").asInt();
    }

    /** Encodes rows; one at a time, since a network's layers keep state while they run. */
    synchronized List<float[]> embed(List<float[]> rows) {
        int size = inputSize();
        try (FloatPointer in = new FloatPointer((long) rows.size() * size);
                FloatPointer out = new FloatPointer((long) rows.size() * dimension)) {
            for (int i = 0; i < rows.size(); i++) {
                in.position((long) i * size).put(rows.get(i), 0, size);
            }
            Images images = new Images(description(in.position(0).address(), rows.size()));
            Activations.compute(
                    network, images, 0, codeLayer, rows.size(), out.address(), dimension);
            return vectors(out, rows.size());
        }
    }

    private ObjectNode description(long address, int rows) {
        ObjectNode images = input.deepCopy();
        return images.put("layout", Settings.required(input, "kind").asText())
                .put("address", address)
                .put("count", rows)
                .put("dtype", "float32");
    }

    private List<float[]> vectors(FloatPointer out, int rows) {
        List<float[]> vectors = new ArrayList<>(rows);
        for (int i = 0; i < rows; i++) {
            float[] vector = new float[dimension];
            out.position((long) i * dimension).get(vector, 0, dimension);
            normalise(vector);
            vectors.add(vector);
        }
        return vectors;
    }

    /** To length 1; a row of zeros stays. */
    private static void normalise(float[] vector) {
        double sum = 0;
        for (float v : vector) {
            sum += (double) v * v;
        }
        double length = Math.sqrt(sum);
        for (int i = 0; i < vector.length && length > 0; i++) {
            vector[i] = (float) (vector[i] / length);
        }
    }

    static String checksum(byte[] zip) {
        try {
            StringBuilder hex = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-256").digest(zip)) {
                hex.append(String.format("%02x", b));
            }
            return hex.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
