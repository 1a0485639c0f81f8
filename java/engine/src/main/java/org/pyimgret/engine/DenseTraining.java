package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.javacpp.Pointer;

/**
 * A dense layer in training, as three matrix products on the weights where the network keeps them.
 *
 * <p>Forward and back each worker has its share of the rows; then each computes the gradient of its
 * share of the units from all rows, some units at a time, and changes these units' weights while the
 * gradient is in its cache. So no gradients are added up, and none is ever in memory as a whole.
 */
final class DenseTraining extends TrainingOperation {

    /** Bytes of gradients before the weights change: with half or twice of it steps took up to a tenth longer. */
    private static final int BLOCK = 1 << 20;

    private final Resources resources;
    private final int inputs;
    private final int outputs;
    private final Optimizer.Parameter weights;
    private final Optimizer.Parameter bias;

    DenseTraining(Node node, TrainingCompiler compiler) throws UnsupportedLayerException {
        super(node, compiler);
        resources = program.resources;
        inputs = node.inputs.get(0).shape.size();
        outputs = node.shape.size();
        weights = program.optimizer.parameter(node.layer, "W");
        bias = node.layer.getParam("b") == null ? null : program.optimizer.parameter(node.layer, "b");
        if (weights.array.stride(0) != 1 || weights.array.stride(1) != inputs) {
            throw new UnsupportedLayerException(node.name, "training of weights that do not lie unit by unit");
        }
    }

    @Override
    void forward() {
        dnnl_memory_desc transposed = strided(inputs, outputs, 1, inputs);
        dnnl_memory_desc row = bias == null ? null : dense(1, outputs);
        program.each(node.name, (worker, builder) -> {
            node.fused.forEach(fused -> builder.fuse((Operation.Activation) fused));
            if (bias != null) {
                builder.argument(constant(DNNL_ARG_BIAS, row, Memory.bytes(bias.address, Long.MAX_VALUE)));
            }
            multiply(
                    builder,
                    input().view(worker).argument(DNNL_ARG_SRC, resources),
                    weights(transposed),
                    row,
                    output().view(worker).argument(DNNL_ARG_DST, resources));
        });
    }

    @Override
    void backward(Tensor given) {
        Tensor gradient = ActivationTraining.backwardFused(this, given);
        if (wantsInputGradient()) {
            Tensor target = program.tensor(node.inputs.get(0).shape);
            program.each(
                    node.name,
                    (worker, builder) -> multiply(
                            builder,
                            gradient.view(worker).argument(DNNL_ARG_SRC, resources),
                            weights(dense(outputs, inputs)),
                            null,
                            target.view(worker).argument(DNNL_ARG_DST, resources)));
            compiler.addGradient(node.inputs.get(0), target);
        }
        // Only now has every worker gone back through the weights, and left its gradient.
        program.barrier();
        for (int worker = 0; worker < program.group.size; worker++) {
            int from = (int) program.group.first(worker, outputs);
            int to = (int) program.group.first(worker + 1, outputs);
            if (to > from) {
                updateWeights(worker, gradient.whole, from, to);
                updateBias(worker, gradient.whole, from, to);
            }
        }
    }

    /** Multiplies the gradient's columns, as rows, by the inputs. */
    private void updateWeights(int worker, Value gradient, int from, int to) {
        int most = Math.max(16, BLOCK / Float.BYTES / inputs / 16 * 16);
        Value part = program.room(worker, (long) Math.min(most, to - from) * inputs * Float.BYTES);
        for (int unit = from; unit < to; unit += most) {
            int first = unit;
            int count = Math.min(most, to - unit);
            program.add(
                    worker,
                    node.name,
                    (number, builder) -> multiply(
                            builder,
                            Step.Argument.of(DNNL_ARG_SRC, strided(count, program.rows, 1, outputs), gradient, first),
                            Step.Argument.of(DNNL_ARG_WEIGHTS, dense(program.rows, inputs), input().whole, 0),
                            null,
                            Step.Argument.of(DNNL_ARG_DST, dense(count, inputs), part, 0)));
            step(worker, weights, part, (long) unit * inputs, count * inputs);
        }
    }

    /** Sums the gradient's columns, as the product of a row of ones. */
    private void updateBias(int worker, Value gradient, int from, int to) {
        if (bias != null) {
            int count = to - from;
            Value part = program.room(worker, (long) count * Float.BYTES);
            program.add(
                    worker,
                    node.name,
                    (number, builder) -> multiply(
                            builder,
                            constant(DNNL_ARG_SRC, dense(1, program.rows), program.ones()),
                            Step.Argument.of(
                                    DNNL_ARG_WEIGHTS, strided(program.rows, count, outputs, 1), gradient, from),
                            null,
                            Step.Argument.of(DNNL_ARG_DST, dense(1, count), part, 0)));
            step(worker, bias, part, from, count);
        }
    }

    private void step(int worker, Optimizer.Parameter parameter, Value part, long from, int count) {
        program.add(worker, block -> {
            Optimizer.Slice slice = program.optimizer.new Slice(worker, parameter, from, count);
            FloatView[] gradients = {new FloatView(block + part.offset, count)};
            return () -> slice.step(gradients, 0);
        });
    }

    /** result = left right + row. */
    private static void multiply(
            PrimitiveBuilder builder,
            Step.Argument left,
            Step.Argument right,
            dnnl_memory_desc row,
            Step.Argument result) {
        builder.described(dnnl_matmul_primitive_desc_create(
                builder.description,
                OneDnn.engine(),
                left.description,
                right.description,
                row,
                result.description,
                builder.attributes()));
        builder.argument(left);
        builder.argument(right);
        builder.argument(result);
    }

    private Step.Argument weights(dnnl_memory_desc format) {
        return constant(DNNL_ARG_WEIGHTS, format, Memory.bytes(weights.address, Long.MAX_VALUE));
    }

    private Step.Argument constant(int kind, dnnl_memory_desc format, Pointer data) {
        return Step.Argument.constant(kind, format, OneDnn.memory(resources, format, data));
    }

    private dnnl_memory_desc dense(long rows, long columns) {
        return OneDnn.describe(resources, dnnl_f32, dnnl_ab, rows, columns);
    }

    private dnnl_memory_desc strided(long rows, long columns, long rowStride, long columnStride) {
        return OneDnn.describe(resources, dnnl_f32, new long[] {rows, columns}, new long[] {rowStride, columnStride});
    }
}
