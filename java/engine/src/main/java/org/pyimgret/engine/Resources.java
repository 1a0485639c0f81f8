package org.pyimgret.engine;

import java.util.ArrayDeque;
import java.util.Deque;
import org.bytedeco.javacpp.Pointer;

/**
 * Native objects that are given back together, the last one first.
 *
 * <p>JavaCPP keeps no reference from one of oneDNN's objects to another: all stay here as long as
 * one of them is used.
 */
final class Resources implements AutoCloseable {

    /** oneDNN's kernels load whole cache lines. */
    private static final int ALIGNMENT = 64;

    private final Deque<Runnable> releases = new ArrayDeque<>();

    synchronized void add(Runnable release) {
        releases.push(release);
    }

    /** Allocates memory at the beginning of a cache line. */
    Pointer allocate(long bytes) {
        Pointer block = Pointer.malloc(bytes + ALIGNMENT);
        if (block == null || block.isNull()) {
            throw new OutOfMemoryError("no " + bytes + " bytes for a network's memory");
        }
        add(() -> Pointer.free(block));
        long start = (block.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return Memory.bytes(start, bytes);
    }

    @Override
    public synchronized void close() {
        while (!releases.isEmpty()) {
            releases.pop().run();
        }
    }
}
