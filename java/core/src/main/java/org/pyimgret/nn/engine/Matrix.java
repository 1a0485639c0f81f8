package org.pyimgret.nn.engine;

import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.Memory;

/**
 * Float32 values outside the heap, row after row, as BLAS and as Java's loops see them.
 *
 * <p>Pointers and buffers carry a position, so every thread of a crew has its own. Loops copy a
 * piece into an array and back: arrays are what every JIT compiler vectorises, and the copy stays
 * in the first-level cache.
 */
final class Matrix implements AutoCloseable {

    final int columns;
    private final INDArray owner;
    private final FloatPointer[] pointers;
    private final FloatBuffer[] buffers;

    private Matrix(INDArray owner, FloatPointer[] pointers, FloatBuffer[] buffers, int columns) {
        this.owner = owner;
        this.pointers = pointers;
        this.buffers = buffers;
        this.columns = columns;
    }

    private Matrix(INDArray owner, long address, long length, int columns, int threads) {
        this(owner, new FloatPointer[threads], new FloatBuffer[threads], columns);
        for (int t = 0; t < threads; t++) {
            pointers[t] = Memory.floats(address, length);
            buffers[t] = Memory.floats(address, length).asBuffer();
        }
    }

    /** Allocates memory; to be closed. */
    static Matrix allocate(int rows, int columns, int threads) {
        long length = (long) rows * columns;
        // NB: outside any workspace, which would hand the memory out again.
        INDArray owner = Nd4j.createUninitializedDetached(DataType.FLOAT, length);
        return new Matrix(owner, owner.data().address(), length, columns, threads);
    }

    /** Sees memory of somebody else, who keeps it alive. */
    static Matrix view(long address, long length, int columns, int threads) {
        return new Matrix(null, address, length, columns, threads);
    }

    /** Says whether an array has its memory to itself; isView also holds for another shape of a whole. */
    static boolean whole(INDArray array) {
        return array.offset() == 0 && array.length() == array.data().length();
    }

    /** Sees all values of a vector that is {@link #whole}. */
    static Matrix view(INDArray vector, int threads) {
        return view(vector.data().address(), vector.length(), Math.toIntExact(vector.length()), threads);
    }

    /** Sees the same memory in rows of another length. */
    Matrix as(int otherColumns) {
        return otherColumns == columns ? this : new Matrix(null, pointers, buffers, otherColumns);
    }

    FloatPointer at(int thread, long offset) {
        return pointers[thread].position(offset);
    }

    void read(int thread, int offset, float[] to, int count) {
        FloatBuffer buffer = buffers[thread];
        buffer.position(offset);
        buffer.get(to, 0, count);
    }

    void write(int thread, int offset, float[] from, int count) {
        write(thread, offset, from, 0, count);
    }

    void write(int thread, int offset, float[] from, int start, int count) {
        FloatBuffer buffer = buffers[thread];
        buffer.position(offset);
        buffer.put(from, start, count);
    }

    @Override
    public void close() {
        if (owner != null) {
            owner.close();
        }
    }
}
