package org.pyimgret.encoder;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.UnaryOperator;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.layers.mkldnn.BaseMKLDNNHelper;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.nativeblas.Nd4jCpu;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.InferenceNetwork;
import org.pyimgret.engine.Precision;
import org.pyimgret.engine.Rows;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.UnsupportedLayerException;
import org.pyimgret.nn.CompiledNetworks;

/**
 * A network up to its code layer.
 *
 * <p>Safe for use by several threads, which read the same weights. The engine runs what it can, and
 * Deeplearning4j the other networks.
 */
final class EmbeddingNetwork {

    private static final long MAX_ACTIVATIONS = 1L << 28;

    final ModelDescription description;
    private final Model model;
    private final INDArray weights;
    private final String codeVertex;
    private final InferenceNetwork engine;
    private final StockNetwork stock;

    /** Why Deeplearning4j runs the network, where the engine does not. */
    private final String reason;

    /** Runs share the lock, because they only read the weights; closing, which frees them, excludes all. */
    private final ReadWriteLock memory = new ReentrantReadWriteLock();

    private volatile boolean closed;

    private EmbeddingNetwork(ModelDescription description, Model model, INDArray weights, String codeVertex) {
        this.description = description;
        this.weights = weights;
        this.codeVertex = codeVertex;
        this.model = model;
        InferenceNetwork compiled = null;
        String refused = "-Dorg.pyimgret.engine=dl4j was given";
        if (!CompiledNetworks.stock()) {
            try {
                compiled = compile();
            } catch (UnsupportedLayerException e) {
                refused = e.getMessage();
            }
        }
        engine = compiled;
        reason = refused;
        stock = new StockNetwork(description, this::replica);
    }

    /** Loads a model zip; what comes after the code layer is dropped where possible. */
    static EmbeddingNetwork load(Path path) throws IOException {
        try (ModelArchive archive = ModelArchive.open(path)) {
            // The description comes first: it is refused before a network is built.
            ModelDescription description = ModelDescription.parse(archive.metadata());
            return of(ModelFile.restore(archive, false), description);
        } catch (ModelFormatException e) {
            boolean named = e.getMessage().startsWith(path.toString());
            throw named ? e : new ModelFormatException(path + ": " + e.getMessage(), e);
        }
    }

    private InferenceNetwork compile() throws UnsupportedLayerException {
        Shape input = description.engineShape();
        if (codeVertex != null) {
            return InferenceNetwork.of((ComputationGraph) model, codeVertex, input, Precision.FLOAT32);
        }
        MultiLayerNetwork layers = (MultiLayerNetwork) model;
        return InferenceNetwork.of(layers, 0, layers.getnLayers() - 1, input, Precision.FLOAT32);
    }

    /** Says what runs the network: "on" for the engine, or Deeplearning4j and why, and what to do. */
    String engine() {
        return engine != null ? "on" : "off: " + reason + "; Deeplearning4j's own: " + stockEngine();
    }

    /** Whether Deeplearning4j may use oneDNN in this process; only the host can change that. */
    private static String stockEngine() {
        if (BaseMKLDNNHelper.mklDnnEnabled()) {
            return "on";
        }
        if (Boolean.parseBoolean(System.getProperty(Nd4jCpu.HELPERS_DISABLED, "true"))) {
            return "off: start the JVM with -D" + Nd4jCpu.HELPERS_DISABLED + "=false";
        }
        return "off: use an nd4j-native with a classifier of -onednn, and check that the class"
                + " loader of Deeplearning4j finds org.nd4j.nativeblas.Nd4jCpu of pyimgret-core";
    }

    private static EmbeddingNetwork of(Model model, ModelDescription description) throws ModelFormatException {
        try {
            return model instanceof ComputationGraph
                    ? ofGraph((ComputationGraph) model, description)
                    : ofLayers((MultiLayerNetwork) model, description);
        } catch (RuntimeException e) {
            throw new ModelFormatException("pyimgret.json does not fit the network: " + e.getMessage(), e);
        }
    }

    private static EmbeddingNetwork ofLayers(MultiLayerNetwork whole, ModelDescription description)
            throws ModelFormatException {
        JsonNode code = description.codeLayer;
        int layers = whole.getnLayers();
        if (!code.isInt() || code.intValue() < 0 || code.intValue() >= layers) {
            throw new ModelFormatException("pyimgret.json says the code layer " + code + " of " + layers + " layers.");
        }
        int count = code.intValue() + 1;
        MultiLayerConfiguration configuration =
                whole.getLayerWiseConfigurations().clone();
        checkSizes(configuration.getLayerActivationTypes(description.inputType()));
        configuration.setConfs(new ArrayList<>(configuration.getConfs().subList(0, count)));
        configuration.getInputPreProcessors().keySet().removeIf(layer -> layer >= count);
        long length = 0;
        for (int layer = 0; layer < count; layer++) {
            length += whole.getLayer(layer).numParams();
        }
        INDArray all = whole.params();
        INDArray row = all.reshape(all.length());
        INDArray weights = row.get(NDArrayIndex.interval(0, length)).dup().reshape(1, length);
        all.close();
        MultiLayerNetwork part = new MultiLayerNetwork(configuration);
        part.init(weights, false);
        return new EmbeddingNetwork(description, part, weights, null);
    }

    private static EmbeddingNetwork ofGraph(ComputationGraph graph, ModelDescription description)
            throws ModelFormatException {
        String code = description.codeLayer.asText();
        if (description.codeLayer.isInt()) {
            code = vertices(graph).get(description.codeLayer.intValue());
        }
        ComputationGraphConfiguration configuration = graph.getConfiguration().clone();
        if (!configuration.getVertices().containsKey(code)) {
            throw new ModelFormatException("pyimgret.json says the unknown code layer " + code);
        }
        checkSizes(configuration
                .getLayerActivationTypes(false, description.inputType())
                .values());
        return new EmbeddingNetwork(description, graph, graph.params(), code);
    }

    /** The names of a graph's vertices without its inputs, in the order they run. */
    private static List<String> vertices(ComputationGraph graph) {
        List<String> names = new ArrayList<>();
        for (int index : graph.topologicalSortOrder()) {
            String name = graph.getVertices()[index].getVertexName();
            if (graph.getConfiguration().getVertices().containsKey(name)) {
                names.add(name);
            }
        }
        return names;
    }

    private static void checkSizes(Collection<InputType> types) throws ModelFormatException {
        for (InputType type : types) {
            if (type.arrayElementsPerExample() > MAX_ACTIVATIONS) {
                throw new ModelFormatException("the network has a layer that gives " + type + ", which is absurd.");
            }
        }
    }

    /**
     * Embeds prepared images, each (height, width, channels) in that order.
     *
     * @param alone whether other threads embed at the same time, so that this one uses no further threads
     * @throws IllegalStateException after {@link #close}
     */
    float[][] embed(List<float[]> tensors, boolean alone) {
        memory.readLock().lock();
        try {
            checkOpen();
            return tensors.isEmpty() ? new float[0][] : embedOpen(tensors, alone);
        } finally {
            memory.readLock().unlock();
        }
    }

    void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the encoder is closed");
        }
    }

    private float[][] embedOpen(List<float[]> tensors, boolean alone) {
        float[] codes = codes(tensors, alone);
        if (description.withMirrorImage) {
            List<float[]> mirrored = new ArrayList<>(tensors.size());
            tensors.forEach(tensor -> mirrored.add(mirror(tensor)));
            float[] others = codes(mirrored, alone);
            for (int i = 0; i < codes.length; i++) {
                codes[i] = (codes[i] + others[i]) / 2;
            }
        }
        return normalised(codes, tensors.size(), description.embeddingSize);
    }

    /** Scales codes, which follow each other, to length 1. */
    static float[][] normalised(float[] codes, int count, int size) {
        if (codes.length != count * size) {
            throw new IllegalStateException(
                    "the code layer gives " + codes.length / count + " numbers; pyimgret.json says " + size);
        }
        float[][] embeddings = new float[count][size];
        for (int i = 0; i < count; i++) {
            double squares = 0;
            for (int j = 0; j < size; j++) {
                squares += (double) codes[i * size + j] * codes[i * size + j];
            }
            // A code of zeros has no direction and stays as it is, as in Python.
            double length = squares > 0 ? Math.sqrt(squares) : 1;
            for (int j = 0; j < size; j++) {
                embeddings[i][j] = (float) (codes[i * size + j] / length);
            }
        }
        return embeddings;
    }

    private float[] mirror(float[] tensor) {
        float[] mirrored = new float[tensor.length];
        int channels = description.channels;
        int row = description.width * channels;
        for (int at = 0; at < tensor.length; at += channels) {
            int from = at / row * row + row - channels - at % row;
            System.arraycopy(tensor, from, mirrored, at, channels);
        }
        return mirrored;
    }

    private float[] codes(List<float[]> tensors, boolean alone) {
        if (engine == null) {
            return stock.codes(tensors);
        }
        int size = engine.outputSize();
        float[] codes = new float[Math.multiplyExact(tensors.size(), size)];
        Rows.Source source = (first, count, out) -> {
            for (int i = 0; i < count; i++) {
                float[] tensor = tensors.get((int) first + i);
                out.position((long) i * tensor.length).put(tensor, 0, tensor.length);
            }
        };
        if (alone) {
            engine.runAlone(source, tensors.size(), Rows.into(codes, size));
        } else {
            engine.run(() -> source, tensors.size(), Rows.into(codes, size));
        }
        return codes;
    }

    private UnaryOperator<INDArray> replica() {
        if (codeVertex == null) {
            MultiLayerNetwork own = (MultiLayerNetwork) model;
            MultiLayerNetwork copy =
                    new MultiLayerNetwork(own.getLayerWiseConfigurations().clone());
            copy.init(weights, false);
            return input -> copy.output(input, false);
        }
        ComputationGraph copy = new ComputationGraph(
                ((ComputationGraph) model).getConfiguration().clone());
        copy.init(weights, false);
        List<String> code = List.of(codeVertex);
        return input -> copy.output(code, false, new INDArray[] {input}, null)[0];
    }

    /** Waits for runs to end, and frees the weights. */
    void close() {
        memory.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                if (engine != null) {
                    engine.close();
                }
                weights.close();
            }
        } finally {
            memory.writeLock().unlock();
        }
    }
}
