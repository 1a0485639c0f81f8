package org.pyimgret.engine;

import java.nio.FloatBuffer;

/**
 * Float32 values outside the heap, as one thread's Java loops see them.
 *
 * <p>Loops copy a piece into an array and back: arrays are what every JIT compiler vectorises, and
 * the copy stays in the first-level cache.
 */
final class FloatView {

    /** Values that loops work on at a time: four such arrays fit the first-level cache. */
    static final int PIECE = 2048;

    private final FloatBuffer buffer;

    FloatView(long address, long count) {
        if (count > Integer.MAX_VALUE / Float.BYTES) {
            // NB: a Java buffer ends there.
            throw new UnsupportedOperationException("an array of " + count + " numbers, more than the "
                    + Integer.MAX_VALUE / Float.BYTES + " that Java can address; smaller batches train on the engine");
        }
        buffer = Memory.floats(address, count).asBuffer();
    }

    int count() {
        return buffer.capacity();
    }

    void read(int offset, float[] to, int count) {
        buffer.position(offset);
        buffer.get(to, 0, count);
    }

    void write(int offset, float[] from, int count) {
        buffer.position(offset);
        buffer.put(from, 0, count);
    }
}
