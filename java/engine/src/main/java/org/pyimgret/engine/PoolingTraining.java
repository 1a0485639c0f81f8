package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_attr;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Pooling in training: of the largest value, its place in the window is kept. */
final class PoolingTraining extends TrainingOperation {

    private final Value[] places;
    private final dnnl_memory_desc[] formats;

    PoolingTraining(Node node, TrainingCompiler compiler) {
        super(node, compiler);
        places = new Value[program.group.size];
        formats = new dnnl_memory_desc[program.group.size];
    }

    @Override
    void forward() {
        program.each(node.name, (worker, builder) -> {
            View x = input().view(worker);
            View y = output().view(worker);
            builder.described(describe(builder.description, x, y, builder.attributes()));
            dnnl_memory_desc chosen = builder.chosen(dnnl_query_workspace_md);
            long bytes = chosen == null ? 0 : dnnl_memory_desc_get_size(chosen);
            if (bytes > 0) {
                formats[worker] = OneDnn.copy(program.resources, chosen);
                places[worker] = program.room(worker, bytes);
                builder.argument(Step.Argument.of(DNNL_ARG_WORKSPACE, formats[worker], places[worker], 0));
            }
            builder.argument(x.argument(DNNL_ARG_SRC, program.resources));
            builder.argument(y.argument(DNNL_ARG_DST, y.describeAsMaps(program.resources)));
        });
    }

    private int describe(dnnl_primitive_desc description, View x, View y, dnnl_primitive_attr attributes) {
        PoolingWindow window = PoolingWindow.of(node, x, y);
        return dnnl_pooling_forward_primitive_desc_create(
                description,
                OneDnn.engine(),
                dnnl_forward_training,
                window.algorithm,
                x.describe(program.resources),
                y.describeAsMaps(program.resources),
                window.stride,
                window.kernel,
                new long[2],
                window.padding.before,
                window.padding.after,
                attributes);
    }

    @Override
    void backward(Tensor gradient) {
        Tensor target = program.tensor(node.inputs.get(0).shape);
        program.each(node.name, (worker, builder) -> {
            View d = gradient.view(worker);
            View to = target.view(worker);
            PoolingWindow window = PoolingWindow.of(node, to, d);
            dnnl_primitive_desc forward = new dnnl_primitive_desc();
            builder.hint(forward, describe(forward, to, d, null));
            builder.described(dnnl_pooling_backward_primitive_desc_create(
                    builder.description,
                    OneDnn.engine(),
                    window.algorithm,
                    to.describe(program.resources),
                    d.describeAsMaps(program.resources),
                    window.stride,
                    window.kernel,
                    new long[2],
                    window.padding.before,
                    window.padding.after,
                    forward,
                    builder.attributes()));
            if (places[worker] != null) {
                program.use(places[worker]);
                builder.argument(Step.Argument.of(DNNL_ARG_WORKSPACE, formats[worker], places[worker], 0));
            }
            builder.argument(d.argument(DNNL_ARG_DIFF_DST, d.describeAsMaps(program.resources)));
            builder.argument(to.argument(DNNL_ARG_DIFF_SRC, program.resources));
        });
        compiler.addGradient(node.inputs.get(0), target);
    }
}
