package org.pyimgret.engine;

/** What a node gives, as memory: its size, how long it is needed, and where it lies. */
final class Value {

    final int images;
    final Shape shape;

    final Encoding encoding;

    /** The first and the last step, counted from the beginning of the program, that use it. */
    final int first;

    int last;

    /** Bytes from the beginning of the program's memory; set by {@link MemoryPlan}. */
    long offset;

    private long bytes;

    private Value(int images, Shape shape, Encoding encoding, int first, int last) {
        this.images = images;
        this.shape = shape;
        this.encoding = encoding;
        this.first = first;
        this.last = last;
    }

    /** What the step {@code first} gives. */
    static Value of(int images, Node node, int first) {
        return of(images, node.shape, node.encoding, first);
    }

    static Value of(int images, Shape shape, Encoding encoding, int first) {
        Value value = new Value(images, shape, encoding, first, first);
        return value.grown((long) images * shape.size() * encoding.bytes);
    }

    /** Memory that is in use all the time, and that {@link #grown} makes room in. */
    static Value scratch() {
        return room(0, Integer.MAX_VALUE);
    }

    /** Bytes that {@link #grown} makes room for. */
    static Value room(int first, int last) {
        return new Value(1, null, Encoding.int8(0, 1), first, last);
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
