package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;

/** One step of a {@link Graph}: an operation on what other nodes give. */
final class Node {

    /** The layer that it comes from. */
    final String name;

    /** Null for the input of the graph. */
    final Operation operation;

    /** What the operation reads; for each fused {@link Operation.Add}, one more at the end. */
    final List<Node> inputs;

    final Shape shape;

    /** Activations and additions that follow the operation, applied to each number as it is made. */
    final List<Operation> fused;

    /** How the result is stored. */
    final Encoding encoding;

    /** The layer at work, whose parameters the operation has; null for what has none. */
    final Layer layer;

    private Node(
            String name,
            Operation operation,
            List<Node> inputs,
            Shape shape,
            List<Operation> fused,
            Encoding encoding,
            Layer layer) {
        this.name = name;
        this.operation = operation;
        this.inputs = List.copyOf(inputs);
        this.shape = shape;
        this.fused = List.copyOf(fused);
        this.encoding = encoding;
        this.layer = layer;
    }

    static Node input(Shape shape) {
        return new Node("input", null, List.of(), shape, List.of(), Encoding.FLOAT32, null);
    }

    /**
     * Makes a node.
     *
     * @throws IllegalArgumentException if the inputs' shapes do not fit the operation
     */
    static Node of(String name, Operation operation, List<Node> inputs) {
        List<Shape> shapes = new ArrayList<>();
        inputs.forEach(input -> shapes.add(input.shape));
        Shape shape = operation.shape(shapes);
        return new Node(name, operation, inputs, shape, List.of(), Encoding.FLOAT32, null);
    }

    /** This node with other inputs of the same shapes. */
    Node withInputs(List<Node> others) {
        return new Node(name, operation, others, shape, fused, encoding, layer);
    }

    /** This node with its operation replaced by one that gives the same shape. */
    Node withOperation(Operation other) {
        return new Node(name, other, inputs, shape, fused, encoding, layer);
    }

    /** This node as the work of a layer. */
    Node of(Layer owner) {
        return new Node(name, operation, inputs, shape, fused, encoding, owner);
    }

    /** This node with its result stored in another way. */
    Node as(Encoding other) {
        return new Node(name, operation, inputs, shape, fused, other, layer);
    }

    /** This node followed by one operation more, with the inputs which that reads as well. */
    Node withFused(Operation next, List<Node> more) {
        List<Operation> all = new ArrayList<>(fused);
        all.add(next);
        List<Node> allInputs = new ArrayList<>(inputs);
        allInputs.addAll(more);
        return new Node(name, operation, allInputs, shape, all, encoding, layer);
    }
}
