package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.dnnl_ab;
import static org.bytedeco.dnnl.global.dnnl.dnnl_abcd;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_add;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_div;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_mul;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_f32;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_inference;
import static org.bytedeco.dnnl.global.dnnl.dnnl_lrn_across_channels;
import static org.bytedeco.dnnl.global.dnnl.dnnl_lrn_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_exclude_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_include_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_max;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reduction_norm_lp_max;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reduction_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reorder_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_softmax_accurate;
import static org.bytedeco.dnnl.global.dnnl.dnnl_softmax_forward_primitive_desc_create;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_memory_desc;

/**
 * Turns a node, or one worker's share of it, into calls of oneDNN's primitives.
 *
 * <p>Feature maps lie as (image, row, column, channel) throughout: oneDNN 3 is at its fastest with
 * it, and some rows of an image are one piece of memory. The format of weights is oneDNN's choice.
 */
final class Lowering {

    private static final int CHANNEL_AXIS = 1;

    private final ParameterStore parameters;
    private final Resources resources;
    private final WeightedLowering weighted;
    private final dnnl_engine engine = OneDnn.engine();

    Lowering(ParameterStore parameters, Resources resources) {
        this.parameters = parameters;
        this.resources = resources;
        this.weighted = new WeightedLowering(parameters, resources);
    }

    /**
     * Makes the steps that compute some of a node.
     *
     * @param inputs what is needed of the inputs
     * @param output what is to be computed
     * @param scratch room for what the primitives need meanwhile
     */
    List<Step> lower(Node node, List<View> inputs, View output, Value scratch) {
        Operation operation = node.operation;
        View input = inputs.get(0);
        if (operation instanceof Operation.Concatenation) {
            return concatenation(node, inputs, output, scratch);
        }
        try (PrimitiveBuilder builder = new PrimitiveBuilder(node.name, resources)) {
            if (operation instanceof Operation.Convolution) {
                weighted.convolution(builder, node, inputs, output);
            } else if (operation instanceof Operation.InnerProduct) {
                weighted.innerProduct(builder, node, inputs, output);
            } else if (operation instanceof Operation.Pooling) {
                pooling(builder, (Operation.Pooling) operation, input, output);
            } else if (operation instanceof Operation.GlobalPooling) {
                globalPooling(builder, (Operation.GlobalPooling) operation, input, output);
            } else if (operation instanceof Operation.Add) {
                binary(builder, dnnl_binary_add, inputs, output);
            } else if (operation instanceof Operation.Divide) {
                binary(builder, dnnl_binary_div, inputs, output);
            } else if (operation instanceof Operation.Norm) {
                norm(builder, (Operation.Norm) operation, input, output);
            } else if (operation instanceof Operation.Normalization) {
                normalization(builder, (Operation.Normalization) operation, input, output);
            } else if (operation instanceof Operation.Flatten) {
                dnnl_memory_desc to = output.describeChannelsFirst(resources, input.value.shape);
                reorder(builder, input, input.describe(resources), output, to);
            } else if (operation instanceof Operation.Convert) {
                if (output.value.encoding.isInt8()) {
                    builder.scale(DNNL_ARG_DST, 0, parameters.scale(output.value.encoding));
                }
                reorder(builder, input, input.describe(resources), output, output.describe(resources));
            } else if (operation instanceof Operation.Unflatten) {
                dnnl_memory_desc from = input.describeChannelsFirst(resources, node.shape);
                reorder(builder, input, from, output, output.describe(resources));
            } else {
                elementwise(builder, operation, input, output);
            }
            return List.of(builder.build(scratch));
        }
    }

    private void pooling(PrimitiveBuilder builder, Operation.Pooling operation, View input, View output) {
        Window window = operation.window;
        Padding padding = new Padding(window, input, output);
        int algorithm = operation.kind == Operation.Pooling.Kind.MAX
                ? dnnl_pooling_max
                : operation.kind == Operation.Pooling.Kind.AVERAGE
                        ? dnnl_pooling_avg_exclude_padding
                        : dnnl_pooling_avg_include_padding;
        long[] kernel = {window.kernelHeight, window.kernelWidth};
        long[] stride = {window.strideHeight, window.strideWidth};
        pool(builder, algorithm, input, output, stride, kernel, padding);
    }

    private void globalPooling(PrimitiveBuilder builder, Operation.GlobalPooling operation, View input, View output) {
        Shape shape = input.value.shape;
        long[] kernel = {shape.height, shape.width};
        int algorithm = operation.max ? dnnl_pooling_max : dnnl_pooling_avg_include_padding;
        pool(builder, algorithm, input, output, kernel, kernel, Padding.NONE);
    }

    private void pool(
            PrimitiveBuilder builder,
            int algorithm,
            View input,
            View output,
            long[] stride,
            long[] kernel,
            Padding padding) {
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describeAsMaps(resources);
        builder.described(dnnl_pooling_forward_primitive_desc_create(
                builder.description,
                engine,
                dnnl_forward_inference,
                algorithm,
                from,
                to,
                stride,
                kernel,
                new long[2],
                padding.before,
                padding.after,
                builder.attributes()));
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private void binary(PrimitiveBuilder builder, int algorithm, List<View> inputs, View output) {
        View other = inputs.get(1);
        dnnl_memory_desc description = other.describe(resources);
        binary(builder, algorithm, inputs.get(0), description, output);
        builder.argument(other.argument(DNNL_ARG_SRC_1, description));
    }

    private void norm(PrimitiveBuilder builder, Operation.Norm operation, View input, View output) {
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describe(resources);
        builder.described(dnnl_reduction_primitive_desc_create(
                builder.description,
                engine,
                dnnl_reduction_norm_lp_max,
                from,
                to,
                2,
                // NB: it is compared before the root is taken.
                operation.least * operation.least,
                builder.attributes()));
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private void normalization(PrimitiveBuilder builder, Operation.Normalization operation, View input, View output) {
        int channels = operation.scale.length;
        dnnl_memory_desc each = input.value.shape.vector
                ? describe(dnnl_f32, dnnl_ab, 1, channels)
                : describe(dnnl_f32, dnnl_abcd, 1, channels, 1, 1);
        int shift = builder.fuseBinary(dnnl_binary_add, each);
        binary(builder, dnnl_binary_mul, input, each, output);
        builder.argument(Step.Argument.constant(DNNL_ARG_SRC_1, parameters.get(operation.scale, 0, each, each)));
        builder.argument(Step.Argument.constant(shift, parameters.get(operation.shift, 0, each, each)));
    }

    private void binary(PrimitiveBuilder builder, int algorithm, View input, dnnl_memory_desc other, View output) {
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describe(resources);
        builder.described(dnnl_binary_primitive_desc_create(
                builder.description, engine, algorithm, from, other, to, builder.attributes()));
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private void elementwise(PrimitiveBuilder builder, Operation operation, View input, View output) {
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describe(resources);
        if (operation instanceof Operation.Softmax) {
            builder.described(dnnl_softmax_forward_primitive_desc_create(
                    builder.description,
                    engine,
                    dnnl_forward_inference,
                    dnnl_softmax_accurate,
                    from,
                    to,
                    CHANNEL_AXIS,
                    builder.attributes()));
        } else if (operation instanceof Operation.LocalResponseNormalization) {
            Operation.LocalResponseNormalization normalization = (Operation.LocalResponseNormalization) operation;
            builder.described(dnnl_lrn_forward_primitive_desc_create(
                    builder.description,
                    engine,
                    dnnl_forward_inference,
                    dnnl_lrn_across_channels,
                    from,
                    to,
                    normalization.size,
                    // NB: oneDNN divides it by the size.
                    normalization.alpha * normalization.size,
                    normalization.beta,
                    normalization.k,
                    builder.attributes()));
        } else {
            Operation.Activation activation = (Operation.Activation) operation;
            builder.described(dnnl_eltwise_forward_primitive_desc_create(
                    builder.description,
                    engine,
                    dnnl_forward_inference,
                    activation.algorithm,
                    from,
                    to,
                    activation.alpha,
                    activation.beta,
                    builder.attributes()));
        }
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private List<Step> concatenation(Node node, List<View> inputs, View output, Value scratch) {
        List<Step> steps = new ArrayList<>();
        int channel = 0;
        for (View input : inputs) {
            try (PrimitiveBuilder builder = new PrimitiveBuilder(node.name, resources)) {
                int channels = input.value.shape.channels;
                View place = output.from(channel);
                dnnl_memory_desc to = output.describeChannels(resources, channels);
                reorder(builder, input, input.describeAsMaps(resources), place, to);
                steps.add(builder.build(scratch));
                channel += channels;
            }
        }
        return steps;
    }

    private void reorder(
            PrimitiveBuilder builder, View input, dnnl_memory_desc from, View output, dnnl_memory_desc to) {
        builder.described(dnnl_reorder_primitive_desc_create(
                builder.description, from, engine, to, engine, builder.attributes()));
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private dnnl_memory_desc describe(int type, int tag, long... dimensions) {
        return OneDnn.describe(resources, type, tag, dimensions);
    }
}
