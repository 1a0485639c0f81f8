package org.pyimgret.engine;

import java.util.concurrent.CancellationException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Threads that run the same task, each on its share, and may wait for each other in between.
 *
 * <p>The caller is the first of them. Waiting threads spin for some microseconds, because what they
 * wait for is that close; then they let others run, and at last they sleep, so that an idle group
 * costs nothing and a busy machine does not stand still for a thread that has no processor.
 */
public final class WorkerGroup implements AutoCloseable {

    private static final int SPINS = 2_000;
    private static final int YIELDS = 50;

    private static WorkerGroup shared;

    /** How many threads, the caller among them. */
    public final int size;

    private final Thread[] workers;
    private final Semaphore free = new Semaphore(1);
    private final AtomicInteger arrived = new AtomicInteger();
    private final AtomicInteger finished = new AtomicInteger();
    private final AtomicInteger sleeping = new AtomicInteger();
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
    public WorkerGroup(int size) {
        this.size = size;
        workers = new Thread[size - 1];
        for (int i = 0; i < workers.length; i++) {
            int number = i + 1;
            workers[i] = new Thread(() -> work(number), "pyimgret-worker-" + number);
            workers[i].setDaemon(true);
            workers[i].start();
        }
    }

    /**
     * Says how many threads a group may have here.
     *
     * @return as many as ND4J may use, at least 1
     */
    public static int threads() {
        return Math.max(1, Nd4j.getEnvironment().maxThreads());
    }

    /**
     * Divides an array among the threads; shares end with cache lines of 16 numbers.
     *
     * @param thread its number; the count of threads gives the end of the last share
     * @param count numbers in the array
     * @return the first of its share
     */
    public long first(int thread, long count) {
        return Math.min(count, (count + 15) / 16 * thread / size * 16);
    }

    /**
     * Gives the group of this process.
     *
     * @return as many threads as ND4J may use; another one when that number was changed
     */
    public static synchronized WorkerGroup shared() {
        int wanted = threads();
        if (shared == null || shared.size != wanted) {
            if (shared != null) {
                shared.free.acquireUninterruptibly();
                shared.close();
                shared.free.release();
            }
            shared = new WorkerGroup(wanted);
        }
        return shared;
    }

    /**
     * Runs a task on every thread, and returns when all have ended.
     *
     * @param work gets the thread's number, from 0
     * @throws IllegalStateException when it failed on one of them
     */
    public void run(IntConsumer work) {
        free.acquireUninterruptibly();
        runAcquired(work);
    }

    /**
     * Runs a task on every thread, unless they have one already.
     *
     * @param work gets the thread's number, from 0
     * @return whether it ran
     * @throws IllegalStateException when it failed on one of them
     */
    public boolean tryRun(IntConsumer work) {
        if (!free.tryAcquire()) {
            return false;
        }
        runAcquired(work);
        return true;
    }

    private void runAcquired(IntConsumer work) {
        Throwable thrown;
        try {
            failure = null;
            arrived.set(0);
            finished.set(0);
            caller = Thread.currentThread();
            task = work;
            round++;
            wakeAll();
            attempt(0);
            waitUntil(() -> finished.get() == size);
            thrown = failure;
        } finally {
            caller = null;
            task = null;
            free.release();
        }
        if (thrown instanceof CancellationException) {
            throw (CancellationException) thrown;
        }
        if (thrown != null) {
            throw new IllegalStateException("the computation failed: " + thrown, thrown);
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
        waitUntil(() -> generation != here || failure != null);
        if (failure != null) {
            throw new IllegalStateException("another thread failed");
        }
    }

    private void waitUntil(BooleanSupplier done) {
        for (int tries = 0; !done.getAsBoolean(); tries++) {
            if (tries < SPINS) {
                Thread.onSpinWait();
            } else if (tries < SPINS + YIELDS) {
                Thread.yield();
            } else {
                // NB: announced before the last look, so that whoever ends the wait sees a sleeper.
                sleeping.incrementAndGet();
                if (!done.getAsBoolean()) {
                    LockSupport.park(this);
                }
                sleeping.decrementAndGet();
            }
        }
    }

    private void wakeAll() {
        if (sleeping.get() > 0) {
            LockSupport.unpark(caller);
            for (Thread worker : workers) {
                LockSupport.unpark(worker);
            }
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
            if (finished.incrementAndGet() == size || failure != null) {
                wakeAll();
            }
        }
    }

    private void work(int number) {
        int seen = 0;
        while (!closed) {
            int before = seen;
            waitUntil(() -> round != before || closed);
            if (!closed) {
                seen = round;
                attempt(number);
            }
        }
    }

    /** Ends the threads; none may run a task any more. */
    @Override
    public void close() {
        closed = true;
        wakeAll();
    }
}
