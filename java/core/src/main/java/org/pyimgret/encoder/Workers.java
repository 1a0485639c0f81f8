package org.pyimgret.encoder;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.guava.base.Throwables;
import org.nd4j.shade.guava.util.concurrent.Uninterruptibles;

/**
 * The threads of an encoder.
 *
 * <p>ND4J holds memory for every thread that it runs on; that of threads of our own can be released,
 * and the host's threads stay as they are.
 */
final class Workers {

    private final ExecutorService pool;
    private final List<Thread> threads = new CopyOnWriteArrayList<>();

    Workers(int count) {
        pool = Executors.newFixedThreadPool(count, this::thread);
    }

    private Thread thread(Runnable task) {
        Thread thread = new Thread(() -> runAndClean(task), "pyimgret-encoder");
        thread.setDaemon(true);
        threads.add(thread);
        return thread;
    }

    private static void runAndClean(Runnable task) {
        try {
            task.run();
        } finally {
            Nd4j.getWorkspaceManager().destroyAllWorkspacesForCurrentThread();
        }
    }

    <T> Future<T> submit(Callable<T> task) {
        try {
            return pool.submit(task);
        } catch (RejectedExecutionException e) {
            throw new IllegalStateException("the encoder is closed", e);
        }
    }

    /** Waits for a result; an exception of the task is thrown as it is. */
    static <T> T result(Future<T> future) throws IOException {
        try {
            return Uninterruptibles.getUninterruptibly(future);
        } catch (ExecutionException e) {
            Throwables.throwIfInstanceOf(e.getCause(), IOException.class);
            Throwables.throwIfUnchecked(e.getCause());
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Lets running tasks finish, and waits for the threads to end. */
    void close() {
        pool.shutdown();
        threads.forEach(Uninterruptibles::joinUninterruptibly);
    }
}
