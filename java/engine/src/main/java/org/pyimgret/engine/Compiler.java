package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.FloatPointer;

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
    private final Partition partition;
    private final Resources resources = new Resources();
    private final Lowering lowering;
    private final Map<Node, Value> values = new HashMap<>();
    private final List<Value> all = new ArrayList<>();
    private final List<Value> scratch = new ArrayList<>();
    private final List<List<Step>> steps = new ArrayList<>();

    /** The nodes before which workers wait, by their order. */
    private final List<Integer> barriers = new ArrayList<>();

    private Compiler(Graph graph, int images, int parts, ParameterStore parameters) {
        this.graph = graph;
        this.images = images;
        this.parts = parts;
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
    static Program compile(Graph graph, int images, int parts, ParameterStore parameters) {
        if (parts > 1 && images > 1) {
            throw new IllegalArgumentException("only a single image is shared by workers");
        }
        Compiler compiler = new Compiler(graph, images, parts, parameters);
        try {
            return compiler.run(false);
        } catch (RuntimeException | Error e) {
            compiler.resources.close();
            throw e;
        }
    }

    private Program run(boolean keepAll) {
        value(graph.input(), 0);
        for (int order = 1; order < graph.nodes.size(); order++) {
            compile(graph.nodes.get(order), order);
        }
        values.get(graph.output()).last = Integer.MAX_VALUE;
        for (Value value : all) {
            value.last = keepAll ? Integer.MAX_VALUE : lastUse(value);
        }
        Value input = values.get(graph.input());
        Value output = values.get(graph.output());
        return new Program(steps, input, output, MemoryPlan.place(all), resources);
    }

    private Value value(Node node, int order) {
        Value value = Value.of(images, node, order);
        values.put(node, value);
        all.add(value);
        return value;
    }

    private void compile(Node node, int order) {
        Value result = value(node, order);
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
        return node == graph.input() ? new Range(0, node.shape.size()) : partition.output(node, part);
    }

    /** NB: a worker may still read a value that the others are done with, until they all wait. */
    private int lastUse(Value value) {
        if (parts == 1 || value.last == Integer.MAX_VALUE) {
            return value.last;
        }
        for (int barrier : barriers) {
            if (barrier > value.last) {
                return barrier - 1;
            }
        }
        return Integer.MAX_VALUE;
    }

    /** A program for one image that keeps what every node gives. */
    static final class Traced implements AutoCloseable {
        final Map<Node, FloatPointer> results = new HashMap<>();
        private final Program program;
        private final Execution execution;

        private Traced(Compiler compiler) {
            program = compiler.run(true);
            execution = program.acquire();
            compiler.values.forEach((node, value) -> results.put(node, execution.floats(value)));
        }

        void run(float[] rows, int at, int size) {
            execution.input.position(0).put(rows, at, size);
            execution.run(0, () -> {});
        }

        @Override
        public void close() {
            program.release(execution);
            program.close();
        }
    }

    /** Compiles a graph of float32 so that every result can be looked at. */
    static Traced traced(Graph graph, ParameterStore parameters) {
        return new Traced(new Compiler(graph, 1, 1, parameters));
    }
}
