package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A network as the engine sees it: operations in the order they run, from one input to one output.
 *
 * <p>The intermediate form between a Deeplearning4j network ({@link NetworkReader}) and oneDNN's
 * primitives ({@link Compiler}); {@link Fusion} rewrites it.
 */
final class Graph {

    /** All nodes that the output needs, each after its inputs; the first is the input. */
    final List<Node> nodes;

    private Graph(List<Node> nodes) {
        this.nodes = List.copyOf(nodes);
    }

    /** The graph of what the output needs of the input. */
    static Graph of(Node input, Node output) {
        List<Node> order = new ArrayList<>();
        order.add(input);
        visit(output, order);
        return new Graph(order);
    }

    private static void visit(Node node, List<Node> order) {
        if (!order.contains(node)) {
            node.inputs.forEach(input -> visit(input, order));
            order.add(node);
        }
    }

    Node input() {
        return nodes.get(0);
    }

    Node output() {
        return nodes.get(nodes.size() - 1);
    }

    /** How often each node's result is read. */
    Map<Node, Integer> uses() {
        Map<Node, Integer> uses = new HashMap<>();
        for (Node node : nodes) {
            node.inputs.forEach(input -> uses.merge(input, 1, Integer::sum));
        }
        return uses;
    }
}
