package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

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
            } else if (operation instanceof Operation.Pooling || operation instanceof Operation.GlobalPooling) {
                pooling(builder, node, input, output);
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

    private void pooling(PrimitiveBuilder builder, Node node, View input, View output) {
        PoolingWindow window = PoolingWindow.of(node, input, output);
        dnnl_memory_desc from = input.describe(resources);
        dnnl_memory_desc to = output.describeAsMaps(resources);
        builder.described(dnnl_pooling_forward_primitive_desc_create(
                builder.description,
                engine,
                dnnl_forward_inference,
                window.algorithm,
                from,
                to,
                window.stride,
                window.kernel,
                new long[2],
                window.padding.before,
                window.padding.after,
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
        builder.reorder(from, to);
        builder.argument(input.argument(DNNL_ARG_SRC, from));
        builder.argument(output.argument(DNNL_ARG_DST, to));
    }

    private dnnl_memory_desc describe(int type, int tag, long... dimensions) {
        return OneDnn.describe(resources, type, tag, dimensions);
    }
}
