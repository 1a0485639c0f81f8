package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntConsumer;

/** Closes an encoder while threads use it: each use succeeds, or says that the encoder is closed. */
final class ClosedInUse {

    private static final int THREADS = 3;

    private ClosedInUse() {}

    /**
     * Uses the encoder on some threads until it is closed, and checks how they end.
     *
     * @param use one use, which checks its results; gets the number of the thread
     */
    static void check(AutoCloseable encoder, IntConsumer use) throws Exception {
        List<Throwable> ends = Collections.synchronizedList(new ArrayList<>());
        AtomicBoolean closed = new AtomicBoolean();
        CountDownLatch running = new CountDownLatch(THREADS);
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < THREADS; t++) {
            int number = t;
            Thread thread = new Thread(() -> {
                for (boolean late = false; !late; running.countDown()) {
                    late = closed.get();
                    use.accept(number);
                }
            });
            thread.setUncaughtExceptionHandler((where, error) -> ends.add(error));
            thread.start();
            threads.add(thread);
        }
        running.await();
        encoder.close();
        closed.set(true);
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(THREADS, ends.size(), "a thread encoded after close");
        for (Throwable end : ends) {
            assertEquals("the encoder is closed", end.getMessage(), end::toString);
        }
    }
}
