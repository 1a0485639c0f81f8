package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_execute;

import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.Pointer;

/** A step with the memory that it works on. */
final class PrimitiveCall implements Runnable {

    private final dnnl_primitive primitive;
    private final dnnl_exec_arg_t arguments;
    private final int count;
    private final dnnl_stream stream;

    /**
     * Prepares a call.
     *
     * @param block where the program's values lie
     * @param stream of the worker that calls
     * @param resources keeps what the call needs
     */
    PrimitiveCall(Step step, long block, dnnl_stream stream, Resources resources) {
        this.primitive = step.primitive;
        this.stream = stream;
        count = step.arguments.size();
        arguments = new dnnl_exec_arg_t(Math.max(1, count));
        resources.add(arguments::close);
        for (int a = 0; a < count; a++) {
            Step.Argument argument = step.arguments.get(a);
            arguments.position(a).arg(argument.kind).memory(memory(argument, block, resources));
        }
        arguments.position(0);
    }

    private static dnnl_memory memory(Step.Argument argument, long block, Resources resources) {
        if (argument.constant != null) {
            return argument.constant;
        }
        long start = argument.value.offset + argument.start;
        Pointer data = Memory.bytes(block + start, argument.value.bytes());
        return OneDnn.memory(resources, argument.description, data);
    }

    @Override
    public void run() {
        int status = dnnl_primitive_execute(primitive, stream, count, arguments);
        if (status != 0) {
            OneDnn.check(status, "a step");
        }
    }
}
