package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.dnnl_memory_desc;

/** Operations without parameters that run in training as they do otherwise. */
final class PlainTraining extends TrainingOperation {

    PlainTraining(Node node, TrainingCompiler compiler) throws UnsupportedLayerException {
        super(node, compiler);
        Operation operation = node.operation;
        boolean known = operation instanceof Operation.Add
                || operation instanceof Operation.Flatten
                || operation instanceof Operation.Unflatten
                || operation instanceof Operation.Concatenation
                || operation instanceof Operation.Norm
                || operation instanceof Operation.Divide;
        if (!known) {
            throw new UnsupportedLayerException(
                    node.name, "training of a " + operation.getClass().getSimpleName());
        }
    }

    @Override
    void forward() {
        program.each(worker -> {
            List<View> inputs = new ArrayList<>();
            node.inputs.forEach(input -> inputs.add(compiler.result(input).view(worker)));
            program.lower(worker, node, inputs, output().view(worker));
        });
    }

    @Override
    void backward(Tensor gradient) {
        if (node.operation instanceof Operation.Add) {
            gradient.aliased = true;
            node.inputs.forEach(input -> compiler.addGradient(input, gradient));
        } else if (node.operation instanceof Operation.Concatenation) {
            split(gradient);
        } else if (node.operation instanceof Operation.Divide) {
            divide(gradient);
        } else {
            // NB: the length of a vector has no gradient of its own: the division by it has it all.
            rearrange(gradient);
        }
    }

    /** Feature maps back from a vector, or the other way round. */
    private void rearrange(Tensor gradient) {
        Shape before = node.inputs.get(0).shape;
        Operation back = before.vector ? new Operation.Flatten() : new Operation.Unflatten(before);
        Node inverse = Node.of(node.name, back, List.of(Node.input(gradient.shape)));
        Tensor target = program.tensor(before);
        program.each(worker -> program.lower(worker, inverse, List.of(gradient.view(worker)), target.view(worker)));
        compiler.addGradient(node.inputs.get(0), target);
    }

    private void split(Tensor gradient) {
        int first = 0;
        for (Node input : node.inputs) {
            int channel = first;
            first += input.shape.channels;
            if (!compiler.learns(input)) {
                continue;
            }
            Tensor target = program.tensor(input.shape);
            program.each(node.name, (worker, builder) -> {
                View from = gradient.view(worker);
                View to = target.view(worker);
                dnnl_memory_desc some = from.describeChannels(program.resources, input.shape.channels);
                dnnl_memory_desc all = to.describeAsMaps(program.resources);
                builder.reorder(some, all);
                builder.argument(from.from(channel).argument(DNNL_ARG_SRC, some));
                builder.argument(to.argument(DNNL_ARG_DST, all));
            });
            compiler.addGradient(input, target);
        }
    }

    /** Of y = x / |x|: d x = (d y - y (y, d y)) / |x|. */
    private void divide(Tensor gradient) {
        Tensor target = inputGradient(gradient);
        Tensor norms = compiler.result(node.inputs.get(1));
        program.use(output());
        program.use(norms);
        int n = node.shape.size();
        program.each(worker -> program.add(worker, block -> {
            FloatView d = gradient.floats(worker, block);
            FloatView y = output().floats(worker, block);
            FloatView norm = norms.floats(worker, block);
            FloatView to = target.floats(worker, block);
            float[] slope = new float[n];
            float[] unit = new float[n];
            float[] length = new float[1];
            return () -> {
                for (int row = 0; row < program.images[worker]; row++) {
                    d.read(row * n, slope, n);
                    y.read(row * n, unit, n);
                    norm.read(row, length, 1);
                    float product = 0;
                    for (int i = 0; i < n; i++) {
                        product += slope[i] * unit[i];
                    }
                    for (int i = 0; i < n; i++) {
                        slope[i] = (slope[i] - unit[i] * product) / length[0];
                    }
                    to.write(row * n, slope, n);
                }
            };
        }));
        compiler.addGradient(node.inputs.get(0), target);
    }
}
