package org.pyimgret.engine;

import org.bytedeco.javacpp.FloatPointer;

/** Where the rows that a network runs on come from, and where its results go. */
public final class Rows {

    private Rows() {}

    /** Gives rows: feature maps as (height, width, channels), or vectors. */
    @FunctionalInterface
    public interface Source {
        /**
         * Copies rows.
         *
         * @param first number of the first
         * @param count how many
         * @param out receives them, one after the other, from its beginning on
         */
        void read(long first, int count, FloatPointer out);
    }

    /** Takes results. */
    @FunctionalInterface
    public interface Sink {
        /**
         * Takes rows; called by several threads, each with other rows.
         *
         * @param first number of the first
         * @param count how many numbers they are, one row after the other
         * @param values the numbers, which are overwritten after the call
         */
        void write(long first, int count, FloatPointer values);
    }

    /**
     * Takes results into memory.
     *
     * @param address where the first row begins
     * @param size numbers in a row
     * @return the sink
     */
    public static Sink into(long address, int size) {
        return (first, count, values) ->
                Memory.floats(address + first * size * Float.BYTES, count).put(values.limit(count));
    }

    /**
     * Takes results into an array.
     *
     * @param array receives the rows, one after the other
     * @param size numbers in a row
     * @return the sink
     */
    public static Sink into(float[] array, int size) {
        return (first, count, values) -> values.get(array, Math.toIntExact(first * size), count);
    }
}
