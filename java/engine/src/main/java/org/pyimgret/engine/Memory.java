package org.pyimgret.engine;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Pointers to memory that somebody else owns, by its address.
 *
 * <p>Nothing is copied and nothing is freed here: the owner keeps the memory alive for as long as
 * the pointer is used.
 */
public final class Memory {

    private Memory() {}

    /** A pointer made of a bare address. */
    private static final class Address extends Pointer {
        Address(long address, long length) {
            super((Pointer) null);
            this.address = address;
            this.limit = length;
            this.capacity = length;
        }
    }

    // NB: each constructor takes the number of values for one of bytes, and divides it.

    /**
     * Points to float32 values.
     *
     * @param address where they begin
     * @param length how many there are
     * @return a pointer to them
     */
    public static FloatPointer floats(long address, long length) {
        return new FloatPointer(new Address(address, length)).capacity(length).limit(length);
    }

    /**
     * Points to float64 values.
     *
     * @param address where they begin
     * @param length how many there are
     * @return a pointer to them
     */
    public static DoublePointer doubles(long address, long length) {
        return new DoublePointer(new Address(address, length)).capacity(length).limit(length);
    }

    /**
     * Points to int32 values.
     *
     * @param address where they begin
     * @param length how many there are
     * @return a pointer to them
     */
    public static IntPointer ints(long address, long length) {
        return new IntPointer(new Address(address, length)).capacity(length).limit(length);
    }

    /**
     * Points to bytes.
     *
     * @param address where they begin
     * @param length how many there are
     * @return a pointer to them
     */
    public static BytePointer bytes(long address, long length) {
        return new BytePointer(new Address(address, length)).capacity(length).limit(length);
    }
}
