package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;

/**
 * Compiles a graph for training on batches of one size.
 *
 * <p>Each worker goes forward and back with its own share of the images. They wait for each other
 * where a normalisation needs the statistics of the whole batch, and before weights change.
 */
final class TrainingCompiler {

    final TrainingBuilder program;
    private final Graph graph;
    private final Map<Node, Tensor> results = new HashMap<>();
    private final Map<Node, List<Tensor>> gradients = new HashMap<>();
    private final Set<Node> learning = new HashSet<>();

    private TrainingCompiler(Graph graph, TrainingBuilder program) {
        this.graph = graph;
        this.program = program;
    }

    /**
     * Compiles.
     *
     * @param program receives the steps, and knows for how many images and workers they are
     * @throws UnsupportedLayerException if something cannot be trained
     */
    static TrainingProgram compile(Graph graph, Loss loss, TrainingBuilder program) throws UnsupportedLayerException {
        try {
            new TrainingCompiler(graph, program).run(loss);
            return program.build(graph.output().shape.size());
        } catch (UnsupportedLayerException | RuntimeException | Error e) {
            program.resources.close();
            throw e;
        }
    }

    private void run(Loss loss) throws UnsupportedLayerException {
        List<TrainingOperation> operations = new ArrayList<>();
        input();
        for (Node node : graph.nodes.subList(1, graph.nodes.size())) {
            if (node.layer != null && node.layer.numParams() > 0
                    || node.inputs.stream().anyMatch(this::learns)) {
                learning.add(node);
            }
            program.next();
            results.put(node, program.tensor(node.shape));
            node.inputs.forEach(input -> program.use(result(input)));
            TrainingOperation operation = operation(node);
            operation.forward();
            operations.add(0, operation);
        }
        loss(loss);
        for (TrainingOperation operation : operations) {
            List<Tensor> parts = gradients.get(operation.node);
            if (parts != null) {
                Tensor gradient = sum(parts);
                program.next();
                program.use(gradient);
                operation.backward(gradient);
            }
        }
    }

    private TrainingOperation operation(Node node) throws UnsupportedLayerException {
        Operation operation = node.operation;
        if (operation instanceof Operation.InnerProduct) {
            return new DenseTraining(node, this);
        }
        if (operation instanceof Operation.Convolution) {
            return new ConvolutionTraining(node, this);
        }
        if (operation instanceof Operation.Normalization) {
            return new NormalizationTraining(node, this);
        }
        if (operation instanceof Operation.Pooling || operation instanceof Operation.GlobalPooling) {
            return new PoolingTraining(node, this);
        }
        if (operation instanceof Operation.Activation) {
            return new ActivationTraining(node, this);
        }
        if (operation instanceof Operation.Dropout) {
            return new DropoutTraining(node, this);
        }
        return new PlainTraining(node, this);
    }

    Tensor result(Node node) {
        return results.get(node);
    }

    /** Whether a gradient with respect to a node is wanted. */
    boolean learns(Node node) {
        return learning.contains(node);
    }

    /** Adds to the gradient of a node, if anybody wants it. */
    void addGradient(Node node, Tensor gradient) {
        if (learns(node)) {
            gradients.computeIfAbsent(node, key -> new ArrayList<>()).add(gradient);
        }
    }

    /** Adds up the gradients by those who read a result. */
    private Tensor sum(List<Tensor> parts) {
        Tensor sum = parts.get(0);
        for (Tensor part : parts.subList(1, parts.size())) {
            program.next();
            Tensor left = sum;
            Tensor next = program.tensor(sum.shape);
            program.use(left);
            program.use(part);
            Node add = Node.of("sum", new Operation.Add(), List.of(Node.input(sum.shape), Node.input(sum.shape)));
            program.each(worker ->
                    program.lower(worker, add, List.of(left.view(worker), part.view(worker)), next.view(worker)));
            sum = next;
        }
        return sum;
    }

    /** Copies the batch's images, which come as (channel, row, column), into a tensor. */
    private void input() {
        Shape shape = graph.input().shape;
        Tensor tensor = program.tensor(shape);
        results.put(graph.input(), tensor);
        program.each(worker -> {
            int images = program.images[worker];
            dnnl_memory_desc from = OneDnn.describe(
                    program.resources, dnnl_f32, dnnl_nchw, images, shape.channels, shape.height, shape.width);
            dnnl_memory given = OneDnn.memory(program.resources, from, null);
            long row = (long) shape.size() * Float.BYTES;
            program.add(worker, block -> () -> {
                long start = program.batch.features + program.firstRow(worker) * row;
                OneDnn.check(dnnl_memory_set_data_handle(given, Memory.bytes(start, images * row)), "the batch");
            });
            program.add(worker, "input", (number, builder) -> {
                View view = tensor.view(worker);
                dnnl_memory_desc to = view.describeAsMaps(program.resources);
                builder.reorder(from, to);
                builder.argument(Step.Argument.constant(DNNL_ARG_SRC, given));
                builder.argument(view.argument(DNNL_ARG_DST, to));
            });
        });
    }

    private void loss(Loss loss) {
        program.next();
        Tensor output = result(graph.output());
        Tensor gradient = program.tensor(output.shape);
        program.use(output);
        addGradient(graph.output(), gradient);
        int n = output.shape.size();
        program.each(worker -> program.add(worker, block -> {
            FloatView z = output.floats(worker, block);
            FloatView d = gradient.floats(worker, block);
            float[] values = new float[n];
            float[] target = new float[n];
            float[] slope = new float[n];
            return () -> {
                FloatView targets = program.batch.labels(program.firstRow(worker), program.images[worker], n);
                double sum = 0;
                for (int at = 0; at < z.count(); at += n) {
                    z.read(at, values, n);
                    targets.read(at, target, n);
                    sum += loss.row(values, target, slope, 1f / program.rows);
                    d.write(at, slope, n);
                }
                program.batch.losses[worker] = sum;
            };
        }));
    }
}
