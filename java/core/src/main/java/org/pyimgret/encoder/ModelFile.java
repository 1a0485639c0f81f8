package org.pyimgret.encoder;

import java.io.IOException;
import java.nio.file.Path;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A model zip, which is not trusted: a hostile one is refused and runs nothing.
 *
 * <p>The zip is one that Deeplearning4j's {@code ModelSerializer} writes, with pyimgret.json as an
 * extra entry when pyimgret wrote it. Refused are entries with serialized Java objects, entries
 * that point outside the zip, classes in the configuration that are none of Deeplearning4j's
 * settings, absurd sizes, bombs, and weights that do not fit their network. No process-wide setting
 * is made.
 */
public final class ModelFile {

    // An optimizer holds at most a few numbers for each weight (AMSGrad: three).
    private static final int MAX_UPDATER_NUMBERS = 4;

    private final Model network;
    private final String metadata;

    private ModelFile(Model network, String metadata) {
        this.network = network;
        this.metadata = metadata;
    }

    /**
     * Opens a model for inference: the state of its training, if any, is not read.
     *
     * @param path the zip
     * @return the restored model
     * @throws ModelFormatException if the file is damaged, or could run code
     * @throws IOException if the file cannot be read
     */
    public static ModelFile open(Path path) throws IOException {
        return open(path, false);
    }

    /**
     * Opens a model.
     *
     * @param path the zip
     * @param forTraining whether to restore the state of the optimizer, so that training can continue
     * @return the restored model
     * @throws ModelFormatException if the file is damaged, or could run code
     * @throws IOException if the file cannot be read
     */
    public static ModelFile open(Path path, boolean forTraining) throws IOException {
        try (ModelArchive archive = ModelArchive.open(path)) {
            return new ModelFile(restore(archive, forTraining), archive.metadata());
        }
    }

    /**
     * Reads a model's description alone; the same entries are refused, no network is built.
     *
     * @param path the zip
     * @return pyimgret.json, or null for a zip that plain Deeplearning4j wrote
     * @throws IOException if the file cannot be read, or is refused
     */
    public static String readMetadata(Path path) throws IOException {
        try (ModelArchive archive = ModelArchive.open(path)) {
            return archive.metadata();
        }
    }

    /**
     * The restored network.
     *
     * @return a MultiLayerNetwork or a ComputationGraph
     */
    public Model network() {
        return network;
    }

    /**
     * The model's description.
     *
     * @return pyimgret.json as text, or null for a zip that plain Deeplearning4j wrote
     */
    public String metadata() {
        return metadata;
    }

    /** Restores the network, with the state of its optimizer where it is there and wanted. */
    static Model restore(ModelArchive archive, boolean forTraining) throws IOException {
        NetworkConfiguration configuration = NetworkConfiguration.read(archive);
        boolean updater = forTraining && archive.has(ModelArchive.UPDATER);
        try {
            return configuration.isGraph()
                    ? graph(archive, configuration.computationGraph(), updater)
                    : multiLayer(archive, configuration.multiLayer(), updater);
        } catch (RuntimeException e) {
            throw archive.refuse("holds a network that Deeplearning4j cannot build: " + e, e);
        }
    }

    private static MultiLayerNetwork multiLayer(
            ModelArchive archive, MultiLayerConfiguration configuration, boolean updater) throws IOException {
        long length = 0;
        for (NeuralNetConfiguration layer : configuration.getConfs()) {
            length += count(archive, layer.getLayer().initializer().numParams(layer));
        }
        INDArray weights = Coefficients.read(archive, ModelArchive.COEFFICIENTS, length, length);
        configuration.setDataType(weights.dataType());
        MultiLayerNetwork network = new MultiLayerNetwork(configuration);
        network.init(weights, false);
        if (updater) {
            network.getUpdater().setStateViewArray(network, updaterState(archive, length), false);
        }
        return network;
    }

    private static ComputationGraph graph(
            ModelArchive archive, ComputationGraphConfiguration configuration, boolean updater) throws IOException {
        long length = 0;
        for (GraphVertex vertex : configuration.getVertices().values()) {
            length += count(archive, vertex.numParams(true));
        }
        INDArray weights = Coefficients.read(archive, ModelArchive.COEFFICIENTS, length, length);
        configuration.setDataType(weights.dataType());
        ComputationGraph network = new ComputationGraph(configuration);
        network.init(weights, false);
        if (updater) {
            network.getUpdater().setStateViewArray(updaterState(archive, length));
        }
        return network;
    }

    private static INDArray updaterState(ModelArchive archive, long weights) throws IOException {
        return Coefficients.read(archive, ModelArchive.UPDATER, -1, MAX_UPDATER_NUMBERS * weights);
    }

    private static long count(ModelArchive archive, long weights) throws ModelFormatException {
        if (weights < 0) {
            throw archive.refuse("has a layer of " + weights + " weights");
        }
        return weights;
    }
}
