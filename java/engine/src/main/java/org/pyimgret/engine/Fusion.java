package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Puts normalisations, activations and additions into the convolution or inner product before them.
 *
 * <p>A normalisation becomes part of the weights; the others are done to each number while it is
 * still in a register. A flattening before an inner product vanishes, because the product reads
 * feature maps as well.
 */
final class Fusion {

    private final Graph graph;
    private final boolean training;
    private final Map<Node, Integer> uses;
    private final Map<Node, Node> replaced = new HashMap<>();

    private Fusion(Graph graph, boolean training) {
        this.graph = graph;
        this.training = training;
        this.uses = graph.uses();
    }

    /** Gives an equal graph of fewer nodes. */
    static Graph apply(Graph graph) {
        return new Fusion(graph, false).run();
    }

    /** Fuses what leaves the derivatives as they are: activations that their result tells the slope of. */
    static Graph applyForTraining(Graph graph) {
        return new Fusion(graph, true).run();
    }

    private Graph run() {
        for (Node node : graph.nodes) {
            List<Node> inputs = new ArrayList<>();
            node.inputs.forEach(input -> inputs.add(replaced.get(input)));
            replaced.put(node, fuse(node, inputs));
        }
        return Graph.of(graph.input(), replaced.get(graph.output()));
    }

    private Node fuse(Node node, List<Node> inputs) {
        Operation operation = node.operation;
        if (training) {
            boolean fits = operation instanceof Operation.Activation
                    && ((Operation.Activation) operation).derivedFromResult() != null
                    && open(node, 0, inputs)
                    && inputs.get(0).fused.isEmpty();
            return fits ? inputs.get(0).withFused(operation, List.of()) : withInputs(node, inputs);
        }
        if (operation instanceof Operation.Normalization
                && open(node, 0, inputs)
                && inputs.get(0).fused.isEmpty()) {
            Operation.Weighted before = (Operation.Weighted) inputs.get(0).operation;
            Operation.Normalization normalization = (Operation.Normalization) operation;
            return inputs.get(0).withOperation(folded(before, normalization));
        }
        if (operation instanceof Operation.Activation && open(node, 0, inputs)) {
            return inputs.get(0).withFused(operation, List.of());
        }
        if (operation instanceof Operation.Add) {
            // The later one: the other must be there before it.
            int last = order(inputs.get(0)) > order(inputs.get(1)) ? 0 : 1;
            boolean adds = inputs.get(last).fused.stream().anyMatch(Operation.Add.class::isInstance);
            if (open(node, last, inputs) && !adds && inputs.get(0) != inputs.get(1)) {
                return inputs.get(last).withFused(operation, List.of(inputs.get(1 - last)));
            }
        }
        if (operation instanceof Operation.InnerProduct && inputs.get(0).operation instanceof Operation.Flatten) {
            return node.withInputs(inputs.get(0).inputs);
        }
        return withInputs(node, inputs);
    }

    private static Node withInputs(Node node, List<Node> inputs) {
        return inputs.equals(node.inputs) ? node : node.withInputs(inputs);
    }

    /** Whether an input's operation has weights, and nobody else reads its result. */
    private boolean open(Node node, int input, List<Node> inputs) {
        Node before = inputs.get(input);
        return before.operation instanceof Operation.Weighted && uses.get(node.inputs.get(input)) == 1;
    }

    private int order(Node node) {
        int last = -1;
        for (int i = 0; i < graph.nodes.size(); i++) {
            if (replaced.get(graph.nodes.get(i)) == node) {
                last = i;
            }
        }
        return last;
    }

    /** scale (W x + b) + shift as one product. */
    private static Operation folded(Operation.Weighted operation, Operation.Normalization normalization) {
        int each = operation.weights.length / operation.outputs;
        float[] weights = new float[operation.weights.length];
        float[] bias = new float[operation.outputs];
        for (int o = 0; o < operation.outputs; o++) {
            float scale = normalization.scale[o];
            for (int i = o * each; i < (o + 1) * each; i++) {
                weights[i] = operation.weights[i] * scale;
            }
            bias[o] = operation.bias[o] * scale + normalization.shift[o];
        }
        return operation.with(weights, bias);
    }
}
