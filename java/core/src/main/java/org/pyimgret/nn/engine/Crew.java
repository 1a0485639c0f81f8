package org.pyimgret.nn.engine;

import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Threads that run the same task, each on its share, and wait for each other in between.
 *
 * <p>The caller is the first of them. While a task runs, BLAS itself uses one thread: the shares are
 * the parallelism, no product waits for threads of its own, and what follows a product (activation,
 * chance, sums) happens where it was made, in that core's cache.
 */
public final class Crew implements AutoCloseable {

    private static final int SPINS = 1000;
    /** Nanoseconds until a sleeping thread looks again, should it have missed its call. */
    private static final long PAUSE = 1_000_000;

    /** How many threads, the caller among them. */
    public final int size;

    private final Thread[] workers;
    private final AtomicInteger arrived = new AtomicInteger();
    private final AtomicInteger finished = new AtomicInteger();
    private volatile int generation;
    private volatile int round;
    private volatile IntConsumer task;
    private volatile Thread caller;
    private volatile Throwable failure;
    private volatile boolean closed;

    /**
     * Starts the threads, which sleep until there is a task.
     *
     * @param size how many, the caller among them; at least 1
     */
    public Crew(int size) {
        this.size = size;
        workers = new Thread[size - 1];
        for (int i = 0; i < workers.length; i++) {
            int number = i + 1;
            workers[i] = new Thread(() -> work(number), "pyimgret-crew-" + number);
            workers[i].setDaemon(true);
            workers[i].start();
        }
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
        // NB: each thread of the crew has its own share: BLAS must not divide it again.
        BlasThreads.enter(1);
        try {
            failure = null;
            arrived.set(0);
            finished.set(0);
            caller = Thread.currentThread();
            task = work;
            round++;
            wakeAll();
            attempt(0);
            pauseUntilAll(finished);
        } finally {
            BlasThreads.leave(1);
        }
        if (failure instanceof CancellationException) {
            throw (CancellationException) failure;
        }
        if (failure != null) {
            throw new IllegalStateException("the computation failed: " + failure, failure);
        }
    }

    /** Waits until every thread has come here; to be called within a task. */
    public void await() {
        int here = generation;
        if (arrived.incrementAndGet() == size) {
            arrived.set(0);
            generation = here + 1;
            wakeAll();
            return;
        }
        for (int i = 0; generation == here; i++) {
            if (failure != null) {
                throw new IllegalStateException("another thread failed");
            }
            pause(i);
        }
    }

    private void pauseUntilAll(AtomicInteger count) {
        for (int i = 0; count.get() < size; i++) {
            pause(i);
        }
    }

    /** Spins for some microseconds, then sleeps: on a busy machine sleepers are woken first. */
    private void pause(int tries) {
        if (tries < SPINS) {
            Thread.onSpinWait();
        } else {
            LockSupport.parkNanos(this, PAUSE);
        }
    }

    private void wakeAll() {
        LockSupport.unpark(caller);
        for (Thread worker : workers) {
            LockSupport.unpark(worker);
        }
    }

    private void attempt(int number) {
        try {
            task.accept(number);
        } catch (RuntimeException | Error e) {
            if (failure == null) {
                failure = e;
            }
        } finally {
            if (finished.incrementAndGet() == size) {
                LockSupport.unpark(caller);
            }
        }
    }

    private void work(int number) {
        int seen = 0;
        while (!closed) {
            if (round == seen) {
                LockSupport.park(this);
            } else {
                seen = round;
                attempt(number);
            }
        }
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
        closed = true;
        wakeAll();
    }
}
