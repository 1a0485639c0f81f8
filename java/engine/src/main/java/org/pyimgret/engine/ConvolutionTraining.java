package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_attr;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution in training.
 *
 * <p>Its weights are reordered once an iteration from where the network keeps them to each format
 * that a primitive wants; each worker's gradient is reordered back, and the sum of all workers' is
 * what the weights step along.
 */
final class ConvolutionTraining extends TrainingOperation {

    private final Operation.Convolution operation;
    private final Resources resources;
    private final Optimizer.Parameter weights;
    private final Optimizer.Parameter bias;
    private final dnnl_memory_desc biasFormat;

    /** The weights as the network keeps them, and in any format. */
    private final dnnl_memory_desc plain;

    private final dnnl_memory_desc any;
    private final long[] stride;
    private final long[] dilation;
    private final List<dnnl_memory_desc> formats = new ArrayList<>();
    private final List<dnnl_memory> reordered = new ArrayList<>();

    ConvolutionTraining(Node node, TrainingCompiler compiler) throws UnsupportedLayerException {
        super(node, compiler);
        operation = (Operation.Convolution) node.operation;
        resources = program.resources;
        weights = program.optimizer.parameter(node.layer, "W");
        bias = node.layer.getParam("b") == null ? null : program.optimizer.parameter(node.layer, "b");
        biasFormat = bias == null ? null : OneDnn.describe(resources, dnnl_f32, dnnl_a, operation.outputs);
        Window window = operation.window;
        stride = new long[] {window.strideHeight, window.strideWidth};
        dilation = new long[] {window.dilationHeight - 1, window.dilationWidth - 1};
        INDArray w = weights.array;
        int groups = operation.groups;
        long[] dimensions = w.shape();
        long[] strides = w.stride();
        if (groups > 1) {
            // NB: a depthwise layer keeps (row, column, channel, multiple).
            dimensions = new long[] {groups, operation.outputs / groups, 1, w.size(0), w.size(1)};
            strides = new long[] {w.stride(2), w.stride(3), 1, w.stride(0), w.stride(1)};
        }
        plain = OneDnn.describe(resources, dnnl_f32, dimensions, strides);
        any = OneDnn.describe(resources, dnnl_f32, dnnl_format_tag_any, dimensions);
    }

    @Override
    void forward() {
        program.each(node.name, (worker, builder) -> {
            View x = input().view(worker);
            View y = output().view(worker);
            node.fused.forEach(fused -> builder.fuse((Operation.Activation) fused));
            builder.described(describe(builder.description, x, y, builder.attributes()));
            argument(builder, DNNL_ARG_WEIGHTS, reordered(builder, worker));
            if (bias != null) {
                argument(builder, DNNL_ARG_BIAS, memory(biasFormat, bias.address));
            }
            builder.argument(x.argument(DNNL_ARG_SRC, resources));
            builder.argument(y.argument(DNNL_ARG_DST, resources));
        });
    }

    private int describe(dnnl_primitive_desc description, View x, View y, dnnl_primitive_attr attributes) {
        Padding padding = new Padding(operation.window, x, y);
        return dnnl_convolution_forward_primitive_desc_create(
                description,
                OneDnn.engine(),
                dnnl_forward_training,
                dnnl_convolution_direct,
                x.describe(resources),
                any,
                biasFormat,
                y.describe(resources),
                stride,
                dilation,
                padding.before,
                padding.after,
                attributes);
    }

    private dnnl_primitive_desc hint(PrimitiveBuilder builder, View x, View y) {
        dnnl_primitive_desc forward = new dnnl_primitive_desc();
        builder.hint(forward, describe(forward, x, y, null));
        return forward;
    }

    @Override
    void backward(Tensor given) {
        Tensor gradient = ActivationTraining.backwardFused(this, given);
        program.use(input());
        if (wantsInputGradient()) {
            Tensor target = program.tensor(node.inputs.get(0).shape);
            program.each(
                    node.name,
                    (worker, builder) -> backwardData(builder, worker, gradient.view(worker), target.view(worker)));
            compiler.addGradient(node.inputs.get(0), target);
        }
        List<Pointer> ofWeights = new ArrayList<>();
        List<Pointer> ofBias = new ArrayList<>();
        program.each(worker -> {
            ofWeights.add(resources.allocate(dnnl_memory_desc_get_size(plain)));
            ofBias.add(resources.allocate((long) operation.outputs * Float.BYTES));
            backwardWeights(worker, gradient.view(worker), last(ofWeights), last(ofBias));
        });
        program.addUpdates(weights, ofWeights);
        if (bias != null) {
            program.addUpdates(bias, ofBias);
        }
    }

    private static Pointer last(List<Pointer> pointers) {
        return pointers.get(pointers.size() - 1);
    }

    private void backwardData(PrimitiveBuilder builder, int worker, View d, View to) {
        Padding padding = new Padding(operation.window, to, d);
        builder.described(dnnl_convolution_backward_data_primitive_desc_create(
                builder.description,
                OneDnn.engine(),
                dnnl_convolution_direct,
                to.describe(resources),
                any,
                d.describe(resources),
                stride,
                dilation,
                padding.before,
                padding.after,
                hint(builder, to, d),
                builder.attributes()));
        argument(builder, DNNL_ARG_WEIGHTS, reordered(builder, worker));
        builder.argument(d.argument(DNNL_ARG_DIFF_DST, resources));
        builder.argument(to.argument(DNNL_ARG_DIFF_SRC, resources));
    }

    private void backwardWeights(int worker, View d, Pointer result, Pointer ofBias) {
        View x = input().view(worker);
        Padding padding = new Padding(operation.window, x, d);
        dnnl_memory_desc[] chosen = new dnnl_memory_desc[1];
        dnnl_memory[] raw = new dnnl_memory[1];
        program.add(worker, node.name, (number, builder) -> {
            builder.described(dnnl_convolution_backward_weights_primitive_desc_create(
                    builder.description,
                    OneDnn.engine(),
                    dnnl_convolution_direct,
                    x.describe(resources),
                    any,
                    biasFormat,
                    d.describe(resources),
                    stride,
                    dilation,
                    padding.before,
                    padding.after,
                    hint(builder, x, d),
                    builder.attributes()));
            chosen[0] = OneDnn.copy(resources, builder.chosen(dnnl_query_diff_weights_md));
            raw[0] = allocated(chosen[0]);
            argument(builder, DNNL_ARG_DIFF_WEIGHTS, raw[0]);
            if (bias != null) {
                argument(builder, DNNL_ARG_DIFF_BIAS, memory(biasFormat, ofBias.address()));
            }
            builder.argument(x.argument(DNNL_ARG_SRC, resources));
            builder.argument(d.argument(DNNL_ARG_DIFF_DST, resources));
        });
        program.add(
                worker,
                node.name,
                (number, builder) -> reorder(builder, chosen[0], raw[0], plain, memory(plain, result.address())));
    }

    /** The weights in the format that a primitive chose, as of this iteration; workers make them by turns. */
    private dnnl_memory reordered(PrimitiveBuilder chooser, int worker) {
        dnnl_memory_desc wanted = chooser.chosen(dnnl_query_weights_md);
        for (int i = 0; i < formats.size(); i++) {
            if (dnnl_memory_desc_equal(formats.get(i), wanted) != 0) {
                return reordered.get(i);
            }
        }
        dnnl_memory_desc format = OneDnn.copy(resources, wanted);
        dnnl_memory source = memory(plain, weights.address);
        boolean same = dnnl_memory_desc_equal(plain, format) != 0;
        dnnl_memory made = same ? source : allocated(format);
        if (!same) {
            // NB: all formats are of the first worker's choice, unless the others have fewer images.
            int maker = Math.floorMod(node.name.hashCode() + formats.size(), program.group.size);
            program.addBefore(maker, node.name, (number, builder) -> reorder(builder, plain, source, format, made));
        }
        formats.add(format);
        reordered.add(made);
        return made;
    }

    private static void reorder(
            PrimitiveBuilder builder,
            dnnl_memory_desc from,
            dnnl_memory source,
            dnnl_memory_desc to,
            dnnl_memory target) {
        builder.reorder(from, to);
        argument(builder, DNNL_ARG_SRC, source);
        argument(builder, DNNL_ARG_DST, target);
    }

    private static void argument(PrimitiveBuilder builder, int kind, dnnl_memory memory) {
        builder.argument(Step.Argument.constant(kind, memory));
    }

    private dnnl_memory allocated(dnnl_memory_desc description) {
        return memory(
                description,
                resources.allocate(dnnl_memory_desc_get_size(description)).address());
    }

    private dnnl_memory memory(dnnl_memory_desc description, long address) {
        return OneDnn.memory(resources, description, Memory.bytes(address, dnnl_memory_desc_get_size(description)));
    }
}
