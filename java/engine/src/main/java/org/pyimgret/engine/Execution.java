package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_wait;

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

    /** Each worker's calls; null stands for waiting. */
    private final PrimitiveCall[][] calls;

    private final dnnl_stream[] streams;

    Execution(Program program) {
        block = resources.allocate(program.bytes);
        input = floats(program.input);
        output = floats(program.output);
        calls = new PrimitiveCall[program.parts()][];
        streams = new dnnl_stream[program.parts()];
        for (int part = 0; part < calls.length; part++) {
            dnnl_stream stream = OneDnn.stream(resources);
            streams[part] = stream;
            calls[part] = program.steps.get(part).stream()
                    .map(step ->
                            step == Step.BARRIER ? null : new PrimitiveCall(step, block.address(), stream, resources))
                    .toArray(PrimitiveCall[]::new);
        }
    }

    /** The numbers of a value of float32. */
    FloatPointer floats(Value value) {
        long count = value.bytes() / Float.BYTES;
        return Memory.floats(block.address() + value.offset, count);
    }

    /**
     * Makes a worker's calls.
     *
     * @param part which worker's
     * @param barrier waits for the other workers
     */
    void run(int part, Runnable barrier) {
        for (PrimitiveCall call : calls[part]) {
            if (call == null) {
                barrier.run();
            } else {
                call.run();
            }
        }
        OneDnn.check(dnnl_stream_wait(streams[part]), "a run");
    }

    @Override
    public void close() {
        resources.close();
    }
}
