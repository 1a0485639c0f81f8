package org.pyimgret.engine;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** Memory that belongs to somebody else, by its address; nothing is copied or freed. */
final class NativeAddress extends Pointer {

    /**
     * Sees bytes.
     *
     * @param start where they begin
     * @param bytes how many there are
     */
    NativeAddress(long start, long bytes) {
        super((Pointer) null);
        address = start;
        limit = bytes;
        capacity = bytes;
    }

    /** Sees float32 values. */
    static FloatPointer floats(long start, long count) {
        // NB: the constructor would take the number of bytes for that of values.
        return new FloatPointer(new NativeAddress(start, count)).capacity(count).limit(count);
    }
}
