package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.FloatPointer;

/**
 * Rewrites a fused graph for less precision, with conversions as nodes of their own.
 *
 * <p>Eight bits are for convolutions alone (Jacob et al. 2018, without zero points): weights have a
 * scale for each output, results one for all, so that the largest of a sample still fits. What a
 * convolution gives is stored in eight bits where only convolutions read it.
 */
final class Quantization {

    private static final int LARGEST_WEIGHT = 127;

    private final Graph graph;

    /** What each node's result is in eight bits. */
    private final Map<Node, Encoding> encodings;

    private final Map<Node, Node> replaced = new HashMap<>();
    private final Map<Node, Node> converted = new HashMap<>();

    private Quantization(Graph graph, Map<Node, Encoding> encodings) {
        this.graph = graph;
        this.encodings = encodings;
    }

    /** Gives the same graph with bfloat16 between the first node and the last. */
    static Graph bfloat16(Graph graph) {
        Map<Node, Node> replaced = new HashMap<>();
        Node input = graph.input();
        replaced.put(input, convert(input, Encoding.BFLOAT16));
        for (Node node : graph.nodes.subList(1, graph.nodes.size())) {
            List<Node> inputs = new ArrayList<>();
            node.inputs.forEach(before -> inputs.add(replaced.get(before)));
            replaced.put(node, node.withInputs(inputs).as(Encoding.BFLOAT16));
        }
        return Graph.of(input, convert(replaced.get(graph.output()), Encoding.FLOAT32));
    }

    private static Node convert(Node node, Encoding encoding) {
        return Node.of(node.name, new Operation.Convert(), List.of(node)).as(encoding);
    }

    /**
     * Gives the same graph with eight bits for convolutions.
     *
     * @param sample inputs, one after the other, whose results show the ranges
     */
    static Graph int8(Graph graph, float[] sample) {
        return new Quantization(graph, ranges(graph, sample)).run();
    }

    private Graph run() {
        Set<Node> narrow = readByConvolutions();
        replaced.put(graph.input(), graph.input());
        for (Node node : graph.nodes.subList(1, graph.nodes.size())) {
            List<Node> inputs = new ArrayList<>();
            node.inputs.forEach(before -> inputs.add(replaced.get(before)));
            Node next = node;
            if (node.operation instanceof Operation.Convolution) {
                inputs.set(0, quantized(node.inputs.get(0)));
                next = node.withOperation(quantized((Operation.Convolution) node.operation));
            }
            next = next.withInputs(inputs);
            replaced.put(node, narrow.contains(node) ? next.as(encodings.get(node)) : next);
        }
        return Graph.of(graph.input(), replaced.get(graph.output()));
    }

    /** The convolutions whose results nothing but convolutions reads. */
    private Set<Node> readByConvolutions() {
        Set<Node> narrow = new HashSet<>();
        for (Node node : graph.nodes) {
            if (node.operation instanceof Operation.Convolution && node != graph.output()) {
                narrow.add(node);
            }
        }
        for (Node node : graph.nodes) {
            if (!(node.operation instanceof Operation.Convolution)) {
                narrow.removeAll(node.inputs);
            }
        }
        return narrow;
    }

    /** What a convolution reads of a node: its result in eight bits. */
    private Node quantized(Node original) {
        Node node = replaced.get(original);
        return node.encoding.isInt8()
                ? node
                : converted.computeIfAbsent(original, key -> convert(node, encodings.get(original)));
    }

    private static Operation quantized(Operation.Convolution convolution) {
        int each = convolution.weights.length / convolution.outputs;
        float[] weights = new float[convolution.weights.length];
        float[] scales = new float[convolution.outputs];
        for (int o = 0; o < convolution.outputs; o++) {
            float largest = 0;
            for (int i = o * each; i < (o + 1) * each; i++) {
                largest = Math.max(largest, Math.abs(convolution.weights[i]));
            }
            scales[o] = largest > 0 ? largest / LARGEST_WEIGHT : 1;
            for (int i = o * each; i < (o + 1) * each; i++) {
                weights[i] = Math.round(convolution.weights[i] / scales[o]);
            }
        }
        return convolution.quantized(weights, scales);
    }

    /** Runs the sample in float32, and finds out what every node gives. */
    private static Map<Node, Encoding> ranges(Graph graph, float[] sample) {
        Map<Node, Encoding> ranges = new HashMap<>();
        int size = graph.input().shape.size();
        if (sample.length == 0 || sample.length % size != 0) {
            throw new IllegalArgumentException("a sample of " + sample.length + " numbers; expected inputs of " + size);
        }
        OneDnn.singleThreaded(() -> {
            try (ParameterStore parameters = new ParameterStore();
                    Compiler.Traced traced = Compiler.traced(graph, parameters)) {
                Map<Node, float[]> seen = new HashMap<>();
                for (int at = 0; at < sample.length; at += size) {
                    traced.run(sample, at, size);
                    traced.results.forEach((node, values) -> widen(seen, node, values));
                }
                seen.forEach((node, r) -> ranges.put(node, Encoding.int8(r[0], r[1])));
            }
        });
        return ranges;
    }

    private static void widen(Map<Node, float[]> seen, Node node, FloatPointer values) {
        float[] numbers = new float[node.shape.size()];
        values.get(numbers);
        float[] range = seen.computeIfAbsent(node, key -> new float[2]);
        for (float number : numbers) {
            range[0] = Math.min(range[0], number);
            range[1] = Math.max(range[1], number);
        }
    }
}
