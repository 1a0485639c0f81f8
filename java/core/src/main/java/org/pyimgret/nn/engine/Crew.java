package org.pyimgret.nn.engine;

import java.util.function.IntConsumer;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.WorkerGroup;

/**
 * Workers whose tasks multiply matrices.
 *
 * <p>While a task runs, BLAS itself uses one thread: the shares are the parallelism, no product waits
 * for threads of its own, and what follows a product (activation, chance, sums) happens where it was
 * made, in that core's cache.
 */
public final class Crew implements AutoCloseable {

    /** How many threads, the caller among them. */
    public final int size;

    private final WorkerGroup group;

    /**
     * Starts the threads, which sleep until there is a task.
     *
     * @param size how many, the caller among them; at least 1
     */
    public Crew(int size) {
        this.size = size;
        group = new WorkerGroup(size);
    }

    /**
     * Says how many threads the mathematics may use.
     *
     * @return at least 1
     */
    public static int threads() {
        return Math.max(1, Nd4j.getEnvironment().maxThreads());
    }

    /** As many as the mathematics may use. */
    static Crew ofAllThreads() {
        return new Crew(threads());
    }

    /**
     * Runs a task on every thread, and returns when all have ended.
     *
     * @param work gets the thread's number, from 0
     * @throws IllegalStateException when it failed on one of them
     */
    public void run(IntConsumer work) {
        // NB: each thread has its own share: BLAS must not divide it again.
        BlasThreads.enter(1);
        try {
            group.run(work);
        } finally {
            BlasThreads.leave(1);
        }
    }

    /** Waits until every thread has come here; to be called within a task. */
    public void await() {
        group.await();
    }

    /**
     * Gives the first of a thread's columns; ends of shares are multiples of 16, a cache line.
     *
     * @param thread its number; the count of threads gives the end of the last
     * @param columns how many there are for all
     * @return the first of its own
     */
    public int from(int thread, int columns) {
        int lines = (columns + 15) / 16;
        return Math.min(columns, lines * thread / size * 16);
    }

    /** The first of a thread's rows, which lie apart: shares need no cache lines of their own. */
    int firstRow(int thread, int rows) {
        return rows * thread / size;
    }

    /**
     * Gives the end of a thread's columns.
     *
     * @param thread its number
     * @param columns how many there are for all
     * @return the first that is no longer its own
     */
    public int to(int thread, int columns) {
        return from(thread + 1, columns);
    }

    @Override
    public void close() {
        group.close();
    }
}
