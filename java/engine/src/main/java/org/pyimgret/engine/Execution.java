package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_execute;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_wait;

import java.util.List;
import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** The memory of one run through a {@link Program}, and its calls with that memory as arguments. */
final class Execution implements AutoCloseable {

    /** Receives the images, one after the other. */
    final FloatPointer input;

    /** Holds the results, one after the other. */
    final FloatPointer output;

    private final Resources resources = new Resources();
    private final Pointer block;
    private final Calls[] calls;

    /** One worker's calls; null for a primitive stands for waiting. */
    private static final class Calls {
        dnnl_primitive[] primitives;
        dnnl_exec_arg_t[] arguments;
        int[] counts;
        dnnl_stream stream;
    }

    Execution(Program program) {
        block = resources.allocate(program.bytes);
        input = floats(program.input);
        output = floats(program.output);
        calls = new Calls[program.parts()];
        for (int part = 0; part < calls.length; part++) {
            calls[part] = bind(program.steps.get(part));
        }
    }

    /** The numbers of a value of float32. */
    FloatPointer floats(Value value) {
        long count = value.bytes() / Float.BYTES;
        return Memory.floats(block.address() + value.offset, count);
    }

    private Calls bind(List<Step> steps) {
        Calls bound = new Calls();
        int count = steps.size();
        bound.primitives = new dnnl_primitive[count];
        bound.arguments = new dnnl_exec_arg_t[count];
        bound.counts = new int[count];
        bound.stream = OneDnn.stream(resources);
        for (int i = 0; i < count; i++) {
            Step step = steps.get(i);
            bound.primitives[i] = step.primitive;
            bound.counts[i] = step.arguments.size();
            dnnl_exec_arg_t arguments = new dnnl_exec_arg_t(Math.max(1, bound.counts[i]));
            resources.add(arguments::close);
            for (int a = 0; a < bound.counts[i]; a++) {
                Step.Argument argument = step.arguments.get(a);
                arguments.position(a).arg(argument.kind).memory(memory(argument));
            }
            bound.arguments[i] = arguments.position(0);
        }
        return bound;
    }

    private dnnl_memory memory(Step.Argument argument) {
        if (argument.constant != null) {
            return argument.constant;
        }
        long start = argument.value.offset + argument.start;
        Pointer data = Memory.bytes(block.address() + start, argument.value.bytes());
        return OneDnn.memory(resources, argument.description, data);
    }

    /**
     * Makes a worker's calls.
     *
     * @param part which worker's
     * @param barrier waits for the other workers
     */
    void run(int part, Runnable barrier) {
        Calls mine = calls[part];
        for (int i = 0; i < mine.primitives.length; i++) {
            if (mine.primitives[i] == null) {
                barrier.run();
                continue;
            }
            int status = dnnl_primitive_execute(mine.primitives[i], mine.stream, mine.counts[i], mine.arguments[i]);
            if (status != 0) {
                OneDnn.check(status, "step " + i);
            }
        }
        OneDnn.check(dnnl_stream_wait(mine.stream), "a run");
    }

    @Override
    public void close() {
        resources.close();
    }
}
