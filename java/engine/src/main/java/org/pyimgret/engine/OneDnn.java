package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/** oneDNN's C functions with their status checked, and their number of threads held at one. */
final class OneDnn {

    private OneDnn() {}

    /** The processor; made once, when the library is first needed. */
    private static final class Cpu {
        static final dnnl_engine ENGINE = new dnnl_engine();

        static {
            check(dnnl_engine_create(ENGINE, dnnl_cpu, 0), "the engine");
        }
    }

    static dnnl_engine engine() {
        return Cpu.ENGINE;
    }

    /** Whether the processor multiplies eight-bit numbers by instructions of its own. */
    static boolean hasVnni() {
        int instructions = dnnl_get_effective_cpu_isa();
        int avx2 = dnnl_cpu_isa_avx2_vnni & ~dnnl_cpu_isa_avx2;
        int avx512 = dnnl_cpu_isa_avx512_core_vnni & ~dnnl_cpu_isa_avx512_core;
        return (instructions & (avx2 | avx512)) != 0;
    }

    /**
     * Throws what a function of oneDNN reports.
     *
     * @param what what was to be made, for the message
     */
    static void check(int status, String what) {
        if (status == dnnl_unimplemented) {
            throw new UnsupportedOperationException("oneDNN has no implementation of " + what);
        }
        if (status != 0) {
            throw new IllegalStateException("oneDNN failed at " + what + " with status " + status);
        }
    }

    /** Describes memory in one of oneDNN's named formats. */
    static dnnl_memory_desc describe(Resources resources, int type, int tag, long... dimensions) {
        dnnl_memory_desc description = new dnnl_memory_desc();
        check(
                dnnl_memory_desc_create_with_tag(description, dimensions.length, dimensions, type, tag),
                "a memory description");
        resources.add(() -> dnnl_memory_desc_destroy(description));
        return description;
    }

    /** Describes memory with gaps. */
    static dnnl_memory_desc describe(Resources resources, int type, long[] dimensions, long[] strides) {
        dnnl_memory_desc description = new dnnl_memory_desc();
        check(
                dnnl_memory_desc_create_with_strides(description, dimensions.length, dimensions, type, strides),
                "a memory description");
        resources.add(() -> dnnl_memory_desc_destroy(description));
        return description;
    }

    /** Copies a description, which may belong to a primitive that is freed earlier. */
    static dnnl_memory_desc copy(Resources resources, dnnl_memory_desc description) {
        dnnl_memory_desc copy = new dnnl_memory_desc();
        check(dnnl_memory_desc_clone(copy, description), "a memory description");
        resources.add(() -> dnnl_memory_desc_destroy(copy));
        return copy;
    }

    /** Makes oneDNN's object for memory that somebody else owns. */
    static dnnl_memory memory(Resources resources, dnnl_memory_desc description, Pointer data) {
        dnnl_memory memory = new dnnl_memory();
        check(dnnl_memory_create(memory, description, engine(), data), "a memory object");
        resources.add(() -> dnnl_memory_destroy(memory));
        return memory;
    }

    static dnnl_stream stream(Resources resources) {
        dnnl_stream stream = new dnnl_stream();
        check(dnnl_stream_create(stream, engine(), dnnl_stream_default_flags), "a stream");
        resources.add(() -> dnnl_stream_destroy(stream));
        return stream;
    }

    /** What is to be done on one thread. */
    interface Work<E extends Exception> {
        void run() throws E;
    }

    /**
     * Makes or runs primitives on the calling thread alone.
     *
     * <p>NB: OpenMP keeps its number of threads for every thread that calls it, and oneDNN asks for
     * it both when a primitive is made and when it runs. ND4J's library shares the one OpenMP of
     * the process, and is the only one with a function to set it.
     */
    static <E extends Exception> void singleThreaded(Work<E> work) throws E {
        NativeOps ops = NativeOpsHolder.getInstance().getDeviceNativeOps();
        int before = ops.ompGetMaxThreads();
        if (before == 1) {
            work.run();
            return;
        }
        ops.setOmpNumThreads(1);
        try {
            work.run();
        } finally {
            ops.setOmpNumThreads(before);
        }
    }
}
