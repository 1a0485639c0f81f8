package org.pyimgret.nn;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Threads that do the same work on their own slices and wait for each other between its steps.
 *
 * <p>Each multiplies its slice with BLAS on one thread: the slices need no meeting within a product,
 * and what follows it (sigmoid, chance, sums) happens where the product was made, in that core's
 * cache. BLAS's own threads meet at every product and leave the rest to one core.
 */
final class Crew {

    /**
     * Spins, some tens of microseconds, before a thread sleeps.
     *
     * <p>NB: it sleeps rather than yields, so that other work on the machine has the core meanwhile.
     */
    private static final int SPINS = 2_000;

    private final int size;
    private final Thread[] threads;
    private final AtomicInteger arrived = new AtomicInteger();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile int round;

    private Crew(int size) {
        this.size = size;
        this.threads = new Thread[size];
        threads[0] = Thread.currentThread();
    }

    /** Work that knows its place and its fellows. */
    interface Work {
        void run(int place, Crew crew);
    }

    /** Says how many threads the mathematics may use. */
    static int threads() {
        return Math.max(1, Nd4j.getEnvironment().maxThreads());
    }

    /** Runs the work {@code size} times at once and returns when all have ended. */
    static void run(int size, Work work) {
        Crew crew = new Crew(size);
        int before = openblas_nolapack.blas_get_num_threads();
        openblas_nolapack.blas_set_num_threads(1);
        try {
            crew.start(place -> work.run(place, crew));
        } finally {
            openblas_nolapack.blas_set_num_threads(before);
        }
        Throwable cause = crew.failure.get();
        if (cause != null) {
            throw new IllegalStateException(cause.toString(), cause);
        }
    }

    private void start(IntConsumer work) {
        for (int place = 1; place < size; place++) {
            int own = place;
            threads[place] = new Thread(() -> guarded(own, work), "pyimgret-crew-" + place);
            threads[place].setDaemon(true);
        }
        for (int place = 1; place < size; place++) {
            threads[place].start();
        }
        guarded(0, work);
        for (int place = 1; place < size; place++) {
            join(threads[place]);
        }
    }

    private void guarded(int place, IntConsumer work) {
        try {
            work.accept(place);
        } catch (RuntimeException | Error e) {
            failure.compareAndSet(null, e);
            wakeOthers();
        }
    }

    private static void join(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until all have come here. */
    void meet() {
        if (size == 1) {
            return;
        }
        int now = round;
        if (arrived.incrementAndGet() == size) {
            arrived.set(0);
            round = now + 1;
            wakeOthers();
            return;
        }
        for (int i = 0; round == now; i++) {
            if (failure.get() != null) {
                throw new IllegalStateException("another thread of the crew failed");
            }
            if (i < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
    }

    private void wakeOthers() {
        for (Thread thread : threads) {
            if (thread != Thread.currentThread()) {
                LockSupport.unpark(thread);
            }
        }
    }

    /** The first of a slice's units: slices are multiples of 16, and the last takes the rest. */
    static int cut(int units, int size, int place) {
        if (place == size) {
            return units;
        }
        return Math.min(units, (int) ((long) units * place / size + 8) / 16 * 16);
    }
}
