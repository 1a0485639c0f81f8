package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.List;
import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_memory_desc;

/** Turns convolutions and inner products, with what is fused into them, into primitives. */
final class WeightedLowering {

    /** Axes of the weights that have scales: the first, and the first two where there are groups. */
    private static final int EACH_OUTPUT = 1;

    private static final int EACH_OUTPUT_OF_EACH_GROUP = 3;

    private final ParameterStore parameters;
    private final Resources resources;
    private final dnnl_engine engine = OneDnn.engine();

    WeightedLowering(ParameterStore parameters, Resources resources) {
        this.parameters = parameters;
        this.resources = resources;
    }

    void convolution(PrimitiveBuilder builder, Node node, List<View> inputs, View output) {
        Operation.Convolution operation = (Operation.Convolution) node.operation;
        View input = inputs.get(0);
        Window window = operation.window;
        long in = input.value.shape.channels / operation.groups;
        long out = operation.outputs / operation.groups;
        long[] kernel = operation.groups == 1
                ? new long[] {out, in, window.kernelHeight, window.kernelWidth}
                : new long[] {operation.groups, out, in, window.kernelHeight, window.kernelWidth};
        int plain = operation.groups == 1 ? dnnl_abcd : dnnl_abcde;
        Padding padding = new Padding(window, input, output);
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describe(resources);
        fuse(builder, node, inputs);
        boolean narrow = operation.scales != null;
        if (narrow) {
            int axes = operation.groups == 1 ? EACH_OUTPUT : EACH_OUTPUT_OF_EACH_GROUP;
            builder.scale(DNNL_ARG_SRC, 0, parameters.scale(input.value.encoding));
            builder.scale(DNNL_ARG_WEIGHTS, axes, parameters.get(operation.scales, 0, operation.outputs));
        }
        if (output.value.encoding.isInt8()) {
            builder.scale(DNNL_ARG_DST, 0, parameters.scale(output.value.encoding));
        }
        builder.described(dnnl_convolution_forward_primitive_desc_create(
                builder.description,
                engine,
                dnnl_forward_inference,
                dnnl_convolution_direct,
                from,
                describe(narrow ? dnnl_s8 : input.value.encoding.type, dnnl_format_tag_any, kernel),
                describe(dnnl_f32, dnnl_a, operation.outputs),
                to,
                new long[] {window.strideHeight, window.strideWidth},
                new long[] {window.dilationHeight - 1, window.dilationWidth - 1},
                padding.before,
                padding.after,
                builder.attributes()));
        weights(builder, operation, 0, describe(dnnl_f32, plain, kernel), operation.outputs);
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    void innerProduct(PrimitiveBuilder builder, Node node, List<View> inputs, View output) {
        Operation.InnerProduct operation = (Operation.InnerProduct) node.operation;
        View input = inputs.get(0);
        Shape shape = input.value.shape;
        int outputs = output.range.length();
        long[] dimensions = shape.vector
                ? new long[] {outputs, shape.channels}
                : new long[] {outputs, shape.channels, shape.height, shape.width};
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describe(resources);
        fuse(builder, node, inputs);
        builder.described(dnnl_inner_product_forward_primitive_desc_create(
                builder.description,
                engine,
                dnnl_forward_inference,
                from,
                describe(input.value.encoding.type, dnnl_format_tag_any, dimensions),
                describe(dnnl_f32, dnnl_a, outputs),
                to,
                builder.attributes()));
        int plain = shape.vector ? dnnl_ab : dnnl_abcd;
        weights(builder, operation, output.range.from, describe(dnnl_f32, plain, dimensions), outputs);
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    /** Adds the weights of {@code outputs} outputs, from {@code first} on, to the arguments. */
    private void weights(
            PrimitiveBuilder builder, Operation.Weighted operation, int first, dnnl_memory_desc plain, int outputs) {
        int each = operation.weights.length / operation.outputs;
        dnnl_memory_desc chosen = builder.chosen(dnnl_query_weights_md);
        builder.argument(Step.Argument.constant(
                DNNL_ARG_WEIGHTS, parameters.get(operation.weights, first * each, plain, chosen)));
        dnnl_memory_desc bias = describe(dnnl_f32, dnnl_a, outputs);
        builder.argument(Step.Argument.constant(DNNL_ARG_BIAS, parameters.get(operation.bias, first, bias, bias)));
    }

    private void fuse(PrimitiveBuilder builder, Node node, List<View> inputs) {
        for (Operation operation : node.fused) {
            if (operation instanceof Operation.Activation) {
                builder.fuse((Operation.Activation) operation);
            } else {
                add(builder, inputs.get(inputs.size() - 1));
            }
        }
    }

    private void add(PrimitiveBuilder builder, View other) {
        dnnl_memory_desc description = other.describe(resources);
        float scale = other.value.encoding.scale;
        if (scale == 1) {
            int kind = builder.fuseBinary(dnnl_binary_add, description);
            builder.argument(other.argument(kind, description));
            return;
        }
        // NB: what is added cannot have a scale: the other summand is divided by it meanwhile.
        builder.fuse(new Operation.Activation(dnnl_eltwise_linear, 1 / scale, 0));
        int kind = builder.fuseBinary(dnnl_binary_add, description);
        builder.argument(other.argument(kind, description));
        builder.fuse(new Operation.Activation(dnnl_eltwise_linear, scale, 0));
    }

    private dnnl_memory_desc describe(int type, int tag, long... dimensions) {
        return OneDnn.describe(resources, type, tag, dimensions);
    }
}
