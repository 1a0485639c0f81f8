package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Compiles a graph for one number of images, and one number of workers that share an image.
 *
 * <p>A worker goes from node to node with its own share and waits for the others only where it needs
 * what they computed: of a network like MobileNetV2, before each convolution with windows.
 */
final class Compiler {

    private final Graph graph;
    private final int images;
    private final int parts;
    private final Precision precision;
    private final Partition partition;
    private final Resources resources = new Resources();
    private final Lowering lowering;
    private final Map<Node, Value> values = new HashMap<>();
    private final List<Value> all = new ArrayList<>();
    private final List<Value> scratch = new ArrayList<>();
    private final List<List<Step>> steps = new ArrayList<>();

    /** The nodes before which workers wait, by their order. */
    private final List<Integer> barriers = new ArrayList<>();

    private Compiler(
            Graph graph, int images, int parts, Precision precision, ParameterStore parameters) {
        this.graph = graph;
        this.images = images;
        this.parts = parts;
        this.precision = precision;
        this.partition = new Partition(parts);
        this.lowering = new Lowering(parameters, resources);
        for (int part = 0; part < parts; part++) {
            steps.add(new ArrayList<>());
            scratch.add(Value.scratch());
        }
        all.addAll(scratch);
    }

    /**
     * Compiles.
     *
     * @param images how many go through at a time
     * @param parts how many workers share the work; more than one only for a single image
     * @param parameters where the weights are kept
     */
    static Program compile(
            Graph graph, int images, int parts, Precision precision, ParameterStore parameters) {
        if (parts > 1 && images > 1) {
            throw new IllegalArgumentException("only a single image is shared by workers");
        }
        Compiler compiler = new Compiler(graph, images, parts, precision, parameters);
        try {
            return compiler.run();
        } catch (RuntimeException | Error e) {
            compiler.resources.close();
            throw e;
        }
    }

    private Program run() {
        Value input = value(graph.input().shape, Precision.FLOAT32, 0);
        values.put(graph.input(), input);
        if (precision != Precision.FLOAT32) {
            values.put(graph.input(), converted(input, precision, 0));
        }
        for (int order = 1; order < graph.nodes.size(); order++) {
            compile(graph.nodes.get(order), order);
        }
        Value output = values.get(graph.output());
        if (precision != Precision.FLOAT32) {
            barrier(graph.nodes.size());
            output.last = graph.nodes.size();
            output = converted(output, Precision.FLOAT32, graph.nodes.size());
        }
        output.last = Integer.MAX_VALUE;
        all.forEach(this::keepUntilAllHaveRead);
        return new Program(steps, input, output, MemoryPlan.place(all), resources);
    }

    private Value value(Shape shape, Precision type, int order) {
        Value value = Value.of(images, shape, type, order);
        all.add(value);
        return value;
    }

    /** The first worker copies a value to another type. */
    private Value converted(Value value, Precision type, int order) {
        Value copy = value(value.shape, type, order);
        Range range = new Range(0, value.shape.size());
        View from = new View(value, range);
        steps.get(0).add(lowering.convert(from, new View(copy, range), scratch.get(0)));
        return copy;
    }

    private void compile(Node node, int order) {
        Value result = value(node.shape, precision, order);
        values.put(node, result);
        if (waits(node, order)) {
            barrier(order);
        }
        for (Node input : node.inputs) {
            values.get(input).last = order;
        }
        for (int part = 0; part < parts; part++) {
            Range output = partition.output(node, part);
            if (output.isEmpty()) {
                continue;
            }
            List<View> inputs = new ArrayList<>();
            for (int i = 0; i < node.inputs.size(); i++) {
                Range range = partition.input(node, i, output);
                inputs.add(new View(values.get(node.inputs.get(i)), range));
            }
            View view = new View(result, output);
            steps.get(part).addAll(lowering.lower(node, inputs, view, scratch.get(part)));
        }
    }

    private void barrier(int order) {
        if (parts > 1) {
            barriers.add(order);
            steps.forEach(list -> list.add(Step.BARRIER));
        }
    }

    /** Whether a worker needs what another computed since they last waited for each other. */
    private boolean waits(Node node, int order) {
        int lastBarrier = barriers.isEmpty() ? 0 : barriers.get(barriers.size() - 1);
        for (int i = 0; i < node.inputs.size(); i++) {
            Node input = node.inputs.get(i);
            if (values.get(input).first < lastBarrier) {
                continue;
            }
            for (int part = 0; part < parts; part++) {
                Range needed = partition.input(node, i, partition.output(node, part));
                if (!made(input, part).contains(needed)) {
                    return true;
                }
            }
        }
        return false;
    }

    /** What a worker can see of a node's result without waiting. */
    private Range made(Node node, int part) {
        boolean given = node == graph.input() && precision == Precision.FLOAT32;
        boolean first = node == graph.input() && part == 0;
        return given || first
                ? new Range(0, node.shape.size())
                : node == graph.input() ? new Range(0, 0) : partition.output(node, part);
    }

    /** NB: a worker may still read a value that the others are done with, until they all wait. */
    private void keepUntilAllHaveRead(Value value) {
        if (parts == 1 || value.last == Integer.MAX_VALUE) {
            return;
        }
        int last = value.last;
        value.last =
                barriers.stream()
                        .filter(barrier -> barrier > last)
                        .findFirst()
                        .map(barrier -> barrier - 1)
                        .orElse(Integer.MAX_VALUE);
    }
}
