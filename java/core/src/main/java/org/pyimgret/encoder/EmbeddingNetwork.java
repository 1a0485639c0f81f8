package org.pyimgret.encoder;

import org.bytedeco.javacpp.FloatPointer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.layers.mkldnn.BaseMKLDNNHelper;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.nn.ChannelsLast;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * A network up to its code layer.
 *
 * <p>A Deeplearning4j network keeps state while it runs, so every thread has a replica of its own;
 * all read the same weights.
 */
final class EmbeddingNetwork {

    private static final long MAX_ACTIVATIONS = 1L << 28;

    private final ModelDescription description;
    private final Model model;
    private final INDArray weights;
    private final String codeVertex;
    private final boolean channelsLast;

    private EmbeddingNetwork(
            ModelDescription description, Model model, INDArray weights, String codeVertex) {
        this.description = description;
        this.weights = weights;
        this.codeVertex = codeVertex;
        // NB: channels last is right and twice as fast with oneDNN, for inference only.
        ComputationGraph twin =
                codeVertex != null && BaseMKLDNNHelper.mklDnnEnabled()
                        ? ChannelsLast.twin((ComputationGraph) model)
                        : null;
        this.channelsLast = twin != null;
        this.model = channelsLast ? twin : model;
    }

    /** Takes a restored network; what lies behind the code layer is dropped where it can be. */
    static EmbeddingNetwork of(Model model, ModelDescription description)
            throws ModelFormatException {
        try {
            return model instanceof ComputationGraph
                    ? ofGraph((ComputationGraph) model, description)
                    : ofLayers((MultiLayerNetwork) model, description);
        } catch (RuntimeException e) {
            throw new ModelFormatException(
                    "pyimgret.json does not fit the network: " + e.getMessage(), e);
        }
    }

    private static EmbeddingNetwork ofLayers(MultiLayerNetwork whole, ModelDescription description)
            throws ModelFormatException {
        JsonNode code = description.codeLayer;
        int layers = whole.getnLayers();
        if (!code.isInt() || code.intValue() < 0 || code.intValue() >= layers) {
            throw new ModelFormatException(
                    "pyimgret.json says the code layer " + code + " of " + layers + " layers.");
        }
        int kept = code.intValue() + 1;
        MultiLayerConfiguration configuration = whole.getLayerWiseConfigurations().clone();
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
        checkSizes(configuration.getLayerActivationTypes(false, description.inputType()).values());
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
                throw new ModelFormatException(
                        "the network has a layer that gives " + type + ", which is absurd.");
            }
        }
    }

    /** A network of the same weights, for another thread. */
    EmbeddingNetwork replica() {
        if (codeVertex == null) {
            MultiLayerNetwork own = (MultiLayerNetwork) model;
            MultiLayerNetwork copy =
                    new MultiLayerNetwork(own.getLayerWiseConfigurations().clone());
            copy.init(weights, false);
            return new EmbeddingNetwork(description, copy, weights, null);
        }
        return new EmbeddingNetwork(this);
    }

    private EmbeddingNetwork(EmbeddingNetwork other) {
        description = other.description;
        weights = other.weights;
        codeVertex = other.codeVertex;
        channelsLast = other.channelsLast;
        ComputationGraph copy =
                new ComputationGraph(((ComputationGraph) other.model).getConfiguration().clone());
        copy.init(weights, false);
        model = copy;
    }

    /** Embeds prepared pictures, each (height, width, channels) in that order. */
    float[][] embed(List<float[]> tensors) {
        float[] codes = codes(tensors);
        if (description.withMirrorImage) {
            List<float[]> mirrored = new ArrayList<>(tensors.size());
            tensors.forEach(tensor -> mirrored.add(mirror(tensor)));
            float[] others = codes(mirrored);
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

    private float[] codes(List<float[]> tensors) {
        int size = description.height * description.width * description.channels;
        float[] rows = new float[tensors.size() * size];
        for (int i = 0; i < tensors.size(); i++) {
            arrange(tensors.get(i), rows, i * size);
        }
        try (INDArray input = Nd4j.createUninitializedDetached(DataType.FLOAT, rows.length);
                INDArray codes = run(fill(input, rows).reshape(shape(tensors.size())))) {
            return flat(codes);
        }
    }

    private static INDArray fill(INDArray input, float[] rows) {
        // NB: setData copies number by number, through several calls each.
        new FloatPointer(input.data().addressPointer()).put(rows);
        return input;
    }

    private INDArray run(INDArray input) {
        if (codeVertex == null) {
            return ((MultiLayerNetwork) model).output(input, false);
        }
        INDArray[] inputs = {input};
        return ((ComputationGraph) model).output(List.of(codeVertex), false, inputs, null)[0];
    }

    private float[] flat(INDArray codes) {
        boolean map = channelsLast && codes.rank() == 4;
        INDArray ordered = map ? codes.permute(0, 3, 1, 2) : codes;
        try (INDArray copy = ordered.dup('c')) {
            return copy.data().asFloat();
        }
    }

    private long[] shape(long rows) {
        long height = description.height;
        long width = description.width;
        long channels = description.channels;
        switch (description.layout) {
            case CONVOLUTIONAL:
                return channelsLast
                        ? new long[] {rows, height, width, channels}
                        : new long[] {rows, channels, height, width};
            case RECURRENT:
                return new long[] {rows, width * channels, height};
            default:
                return new long[] {rows, height * width * channels};
        }
    }

    /** Lays a picture out as the network wants it: pixels, channels or lines apart. */
    private void arrange(float[] tensor, float[] rows, int at) {
        boolean asItIs = description.layout == ModelDescription.Layout.DENSE;
        boolean maps = description.layout == ModelDescription.Layout.CONVOLUTIONAL;
        if (asItIs || maps && (channelsLast || description.channels == 1)) {
            System.arraycopy(tensor, 0, rows, at, tensor.length);
            return;
        }
        int outer = maps ? description.height * description.width : description.height;
        int inner = tensor.length / outer;
        for (int o = 0; o < outer; o++) {
            for (int i = 0; i < inner; i++) {
                rows[at + i * outer + o] = tensor[o * inner + i];
            }
        }
    }

    /** Frees the weights, of all replicas; none may run any more. */
    void close() {
        weights.close();
    }
}
