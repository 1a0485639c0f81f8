package org.pyimgret.encoder;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;
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
 * <p>Safe for use by several threads. The engine runs what it can; of other networks each thread
 * takes a {@link ModelPass}, with the state and the memory of one run, and puts it back for the next
 * one. All read the same weights.
 */
final class EmbeddingNetwork {

    private static final long MAX_ACTIVATIONS = 1L << 28;

    private final ModelDescription description;
    private final Model model;
    private final INDArray weights;
    private final String codeVertex;
    private final InferenceNetwork engine;

    /** Why Deeplearning4j runs the network, where the engine does not. */
    private final String reason;

    private final Deque<ModelPass> idle = new ConcurrentLinkedDeque<>();

    /** Runs read the weights and share it; closing, which frees them, has it alone. */
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
    }

    private InferenceNetwork compile() throws UnsupportedLayerException {
        Shape input = description.engineShape();
        if (codeVertex != null) {
            return InferenceNetwork.of((ComputationGraph) model, codeVertex, input, Precision.FLOAT32);
        }
        MultiLayerNetwork layers = (MultiLayerNetwork) model;
        return InferenceNetwork.of(layers, 0, layers.getnLayers() - 1, input, Precision.FLOAT32);
    }

    /** Tells what runs the network: the engine, or Deeplearning4j and why. */
    String engine() {
        return engine != null ? "on" : "off: " + reason + "; Deeplearning4j's own: " + OneDnn.state();
    }

    /** Takes a restored network; what lies behind the code layer is dropped where it can be. */
    static EmbeddingNetwork of(Model model, ModelDescription description) throws ModelFormatException {
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
        int kept = code.intValue() + 1;
        MultiLayerConfiguration configuration =
                whole.getLayerWiseConfigurations().clone();
        checkSizes(configuration.getLayerActivationTypes(description.inputType()));
        configuration.setConfs(new ArrayList<>(configuration.getConfs().subList(0, kept)));
        configuration.getInputPreProcessors().keySet().removeIf(layer -> layer >= kept);
        long length = 0;
        for (int layer = 0; layer < kept; layer++) {
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
     * @param alone whether other threads embed beside this one, so that it keeps to itself
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
        return Embeddings.normalise(codes, tensors.size(), description.embeddingSize);
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
        if (engine != null) {
            return engineCodes(tensors, alone);
        }
        ModelPass pass = idle.poll();
        pass = pass == null ? newPass() : pass;
        try {
            float[] codes = pass.codes(tensors);
            // NB: the last one first: its memory is still in a cache.
            idle.push(pass);
            return codes;
        } catch (RuntimeException | Error e) {
            // Where it stopped is unknown: the next call makes a new one.
            pass.close();
            throw e;
        }
    }

    private float[] engineCodes(List<float[]> tensors, boolean alone) {
        for (float[] tensor : tensors) {
            if (tensor.length != engine.inputSize()) {
                throw new IllegalArgumentException(
                        "an input of " + tensor.length + " numbers; expected " + engine.inputSize());
            }
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

    private ModelPass newPass() {
        if (codeVertex == null) {
            MultiLayerNetwork own = (MultiLayerNetwork) model;
            MultiLayerNetwork copy =
                    new MultiLayerNetwork(own.getLayerWiseConfigurations().clone());
            copy.init(weights, false);
            return new ModelPass(description, input -> copy.output(input, false));
        }
        ComputationGraph copy = new ComputationGraph(
                ((ComputationGraph) model).getConfiguration().clone());
        copy.init(weights, false);
        List<String> code = List.of(codeVertex);
        return new ModelPass(description, input -> copy.output(code, false, new INDArray[] {input}, null)[0]);
    }

    /** Waits for runs to end, and frees the weights and the memory of all passes. */
    void close() {
        memory.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                idle.forEach(ModelPass::close);
                idle.clear();
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
