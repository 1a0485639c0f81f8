package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_post_ops;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_primitive_attr;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/**
 * One primitive in the making: its attributes, its description, its arguments.
 *
 * <p>The primitive itself stays with {@code resources}; closing gives back what only making it
 * needed.
 */
final class PrimitiveBuilder implements AutoCloseable {

    private static final int POST_OPERATION = DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE;

    /** To be filled by one of oneDNN's functions, and then handed to {@link #described}. */
    final dnnl_primitive_desc description = new dnnl_primitive_desc();

    private final dnnl_primitive_attr attributes = new dnnl_primitive_attr();
    private final String layer;
    private final Resources resources;
    private final Resources temporary = new Resources();
    private final dnnl_post_ops fused = new dnnl_post_ops();
    private final List<Step.Argument> arguments = new ArrayList<>();
    private int fusedCount;

    PrimitiveBuilder(String layer, Resources resources) {
        this.layer = layer;
        this.resources = resources;
        check(dnnl_primitive_attr_create(attributes));
        temporary.add(() -> dnnl_primitive_attr_destroy(attributes));
        // NB: scratch memory of the library's own belongs to the thread that made the primitive.
        check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
        check(dnnl_post_ops_create(fused));
        temporary.add(() -> dnnl_post_ops_destroy(fused));
    }

    private void check(int status) {
        OneDnn.check(status, "layer '" + layer + "'");
    }

    /** Applies a function to each number of the result. */
    void fuse(Operation.Activation activation) {
        check(dnnl_post_ops_append_eltwise(fused, activation.algorithm, activation.alpha, activation.beta));
        fusedCount++;
    }

    /** Combines each number of the result with another; returns the kind of that argument. */
    int fuseBinary(int algorithm, dnnl_memory_desc other) {
        check(dnnl_post_ops_append_binary(fused, algorithm, other));
        fusedCount++;
        return POST_OPERATION * fusedCount | DNNL_ARG_SRC_1;
    }

    /** Multiplies an argument, of whole numbers, by scales: one, or one for each index of some axes. */
    void scale(int kind, int axes, dnnl_memory scales) {
        check(dnnl_primitive_attr_set_scales_mask(attributes, kind, axes));
        argument(Step.Argument.constant(DNNL_ARG_ATTR_SCALES | kind, scales));
    }

    /** The attributes, complete with what was fused. */
    dnnl_primitive_attr attributes() {
        check(dnnl_primitive_attr_set_post_ops(attributes, fused));
        return attributes;
    }

    void argument(Step.Argument argument) {
        arguments.add(argument);
    }

    /** Takes over the description, which a function of oneDNN has filled. */
    void described(int status) {
        check(status);
        temporary.add(() -> dnnl_primitive_desc_destroy(description));
    }

    /** Describes a copy from one format to another. */
    void reorder(dnnl_memory_desc from, dnnl_memory_desc to) {
        described(dnnl_reorder_primitive_desc_create(
                description, from, OneDnn.engine(), to, OneDnn.engine(), attributes()));
    }

    /** Takes over the description of the forward primitive that a backward one goes with. */
    void hint(dnnl_primitive_desc forward, int status) {
        check(status);
        temporary.add(() -> dnnl_primitive_desc_destroy(forward));
    }

    /** Gives the format that the primitive chose for an argument. */
    dnnl_memory_desc chosen(int query) {
        return dnnl_primitive_desc_query_md(description, query, 0);
    }

    /** Makes the primitive; {@code room} is for scratch memory, and grows to what it needs. */
    Step build(Value room) {
        dnnl_memory_desc scratch = chosen(dnnl_query_scratchpad_md);
        long bytes = scratch == null ? 0 : dnnl_memory_desc_get_size(scratch);
        if (bytes > 0) {
            // NB: the description belongs to one that is destroyed below.
            dnnl_memory_desc own = OneDnn.describe(resources, dnnl_u8, dnnl_a, bytes);
            argument(Step.Argument.of(DNNL_ARG_SCRATCHPAD, own, room.grown(bytes), 0));
        }
        dnnl_primitive primitive = new dnnl_primitive();
        check(dnnl_primitive_create(primitive, description));
        resources.add(() -> dnnl_primitive_destroy(primitive));
        return new Step(primitive, arguments);
    }

    @Override
    public void close() {
        temporary.close();
    }
}
