package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_u8;

/** What a node gives, as memory: its size, how long it is needed, and where it lies. */
final class Value {

    final int images;
    final Shape shape;

    /** oneDNN's type of the numbers. */
    final int type;

    final int bytesEach;

    /** The first and the last step, counted from the beginning of the program, that use it. */
    final int first;

    int last;

    /** Bytes from the beginning of the program's memory; set by {@link MemoryPlan}. */
    long offset;

    private long bytes;

    private Value(int images, Shape shape, int type, int bytesEach, int first, int last) {
        this.images = images;
        this.shape = shape;
        this.type = type;
        this.bytesEach = bytesEach;
        this.first = first;
        this.last = last;
    }

    /** What the step {@code first} gives. */
    static Value of(int images, Shape shape, Precision precision, int first) {
        Value value = new Value(images, shape, precision.type, precision.bytes, first, first);
        return value.grown((long) images * shape.size() * precision.bytes);
    }

    /** Memory that is in use all the time, and that {@link #grown} makes room in. */
    static Value scratch() {
        return new Value(1, null, dnnl_u8, 1, 0, Integer.MAX_VALUE);
    }

    /** This value with at least so many bytes. */
    Value grown(long size) {
        bytes = Math.max(bytes, size);
        return this;
    }

    long bytes() {
        return bytes;
    }
}
