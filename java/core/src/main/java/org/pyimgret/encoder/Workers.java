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

/**
 * The threads of an encoder.
 *
 * <p>ND4J keeps memory for every thread that it runs on; on threads of our own it can be given
 * back, and the host's threads stay as they are.
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

    /** Waits for a result; an error of the task is thrown as it is. */
    static <T> T result(Future<T> future) throws IOException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    throw rethrown(e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static RuntimeException rethrown(Throwable cause) throws IOException {
        if (cause instanceof IOException) {
            throw (IOException) cause;
        }
        if (cause instanceof Error) {
            throw (Error) cause;
        }
        if (cause instanceof RuntimeException) {
            throw (RuntimeException) cause;
        }
        throw new IllegalStateException(cause);
    }

    /** Lets running tasks end, and waits for the threads' own end. */
    void close() {
        pool.shutdown();
        boolean interrupted = false;
        for (Thread thread : threads) {
            interrupted |= joinInterrupted(thread);
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static boolean joinInterrupted(Thread thread) {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        return interrupted;
    }
}
