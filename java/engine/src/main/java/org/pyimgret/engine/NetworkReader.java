package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.conf.graph.L2NormalizeVertex;
import org.deeplearning4j.nn.conf.graph.LayerVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.conf.preprocessor.CnnToFeedForwardPreProcessor;
import org.deeplearning4j.nn.conf.preprocessor.FeedForwardToCnnPreProcessor;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;

/** Reads Deeplearning4j networks as {@link Graph}s; the weights are copied as they are now. */
final class NetworkReader {

    private NetworkReader() {}

    /**
     * Reads some layers of a stack.
     *
     * @param from the first layer
     * @param to the last layer
     * @param input what the first layer gets
     * @param training whether it is to learn
     * @throws UnsupportedLayerException if one of them cannot be run
     */
    static Graph read(MultiLayerNetwork network, int from, int to, Shape input, boolean training)
            throws UnsupportedLayerException {
        Node first = Node.input(input);
        Node last = first;
        for (int l = from; l <= to; l++) {
            InputPreProcessor change = network.getLayerWiseConfigurations().getInputPreProcess(l);
            LayerReader reader = new LayerReader(network.getLayer(l), String.valueOf(l), training);
            last = reader.read(changed(change, last, reader.name()));
        }
        return Graph.of(first, last);
    }

    /**
     * Reads a graph up to one of its vertices.
     *
     * @param vertex whose result is wanted
     * @param input what the graph's only input gets
     * @param training whether it is to learn
     * @throws UnsupportedLayerException if a vertex on the way cannot be run
     */
    static Graph read(ComputationGraph graph, String vertex, Shape input, boolean training)
            throws UnsupportedLayerException {
        ComputationGraphConfiguration configuration = graph.getConfiguration();
        if (configuration.getNetworkInputs().size() != 1) {
            throw new UnsupportedLayerException(vertex, "the graph has several inputs");
        }
        Node first = Node.input(input);
        Map<String, Node> nodes = new HashMap<>();
        nodes.put(configuration.getNetworkInputs().get(0), first);
        return Graph.of(first, vertex(graph, vertex, nodes, training));
    }

    /** Reads a vertex and, before it, all that it needs. */
    private static Node vertex(ComputationGraph graph, String name, Map<String, Node> nodes, boolean training)
            throws UnsupportedLayerException {
        Node known = nodes.get(name);
        if (known != null) {
            return known;
        }
        List<Node> inputs = new ArrayList<>();
        for (String before : graph.getConfiguration().getVertexInputs().get(name)) {
            inputs.add(vertex(graph, before, nodes, training));
        }
        Node node = vertex(graph, name, inputs, training);
        nodes.put(name, node);
        return node;
    }

    private static Node vertex(ComputationGraph graph, String name, List<Node> inputs, boolean training)
            throws UnsupportedLayerException {
        GraphVertex vertex = graph.getConfiguration().getVertices().get(name);
        if (vertex instanceof LayerVertex) {
            Node in = changed(((LayerVertex) vertex).getPreProcessor(), inputs.get(0), name);
            return new LayerReader(graph.getLayer(name), name, training).read(in);
        }
        if (vertex instanceof MergeVertex) {
            return node(name, new Operation.Concatenation(), inputs);
        }
        if (vertex instanceof ElementWiseVertex && ((ElementWiseVertex) vertex).getOp() == ElementWiseVertex.Op.Add) {
            Node sum = inputs.get(0);
            for (Node next : inputs.subList(1, inputs.size())) {
                sum = node(name, new Operation.Add(), List.of(sum, next));
            }
            return sum;
        }
        if (vertex instanceof L2NormalizeVertex && inputs.get(0).shape.vector) {
            float least = (float) ((L2NormalizeVertex) vertex).getEps();
            Node norm = node(name, new Operation.Norm(least), inputs);
            return node(name, new Operation.Divide(), List.of(inputs.get(0), norm));
        }
        throw new UnsupportedLayerException(name, "a " + vertex.getClass().getSimpleName());
    }

    /** What a preprocessor, if there is one, makes of a layer's input. */
    private static Node changed(InputPreProcessor change, Node input, String layer) throws UnsupportedLayerException {
        if (change == null) {
            return input;
        }
        if (change.getClass() == CnnToFeedForwardPreProcessor.class && !input.shape.vector) {
            return node(layer, new Operation.Flatten(), List.of(input));
        }
        if (change.getClass() == FeedForwardToCnnPreProcessor.class) {
            FeedForwardToCnnPreProcessor maps = (FeedForwardToCnnPreProcessor) change;
            Shape shape =
                    Shape.maps((int) maps.getInputHeight(), (int) maps.getInputWidth(), (int) maps.getNumChannels());
            // Maps that come as such stay as they are, as Deeplearning4j's own preprocessor does it.
            return input.shape.vector ? node(layer, new Operation.Unflatten(shape), List.of(input)) : input;
        }
        throw new UnsupportedLayerException(layer, "a " + change.getClass().getSimpleName());
    }

    static Node node(String name, Operation operation, List<Node> inputs) throws UnsupportedLayerException {
        try {
            return Node.of(name, operation, inputs);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new UnsupportedLayerException(name, String.valueOf(e.getMessage()));
        }
    }
}
