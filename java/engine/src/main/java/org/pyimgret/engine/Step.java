package org.pyimgret.engine;

import java.util.List;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive;

/** One call of a primitive: which, and what it reads and writes. */
final class Step {

    /** Not a call: here a worker waits for the others. */
    static final Step BARRIER = new Step(null, List.of());

    final dnnl_primitive primitive;
    final List<Argument> arguments;

    Step(dnnl_primitive primitive, List<Argument> arguments) {
        this.primitive = primitive;
        this.arguments = List.copyOf(arguments);
    }

    /** Memory that a primitive uses: either a constant, or some of a value. */
    static final class Argument {
        /** oneDNN's number for what the primitive does with it. */
        final int kind;

        final dnnl_memory constant;
        final dnnl_memory_desc description;
        final Value value;
        final long start;

        private Argument(int kind, dnnl_memory constant, dnnl_memory_desc description, Value value, long start) {
            this.kind = kind;
            this.constant = constant;
            this.description = description;
            this.value = value;
            this.start = start;
        }

        static Argument constant(int kind, dnnl_memory memory) {
            return constant(kind, null, memory);
        }

        static Argument constant(int kind, dnnl_memory_desc description, dnnl_memory memory) {
            return new Argument(kind, memory, description, null, 0);
        }

        /** Some of a value, from its number {@code start} on. */
        static Argument of(int kind, dnnl_memory_desc description, Value value, long start) {
            return new Argument(kind, null, description, value, start * value.encoding.bytes);
        }
    }
}
