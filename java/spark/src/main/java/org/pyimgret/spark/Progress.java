package org.pyimgret.spark;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.util.LongAccumulator;
import org.pyimgret.nn.Json;

/** Reports the progress of a job to whoever started it: one JSON document a line on standard output. */
final class Progress {

    private static final long EVERY_NANOS = 500_000_000L;
    private static long last;

    private Progress() {}

    static synchronized void emit(String event, Map<String, ?> values) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.putAll(values);
        // NB: println would put question marks for what the locale does not know.
        byte[] text = (Json.write(line) + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(text, 0, text.length);
        System.out.flush();
    }

    static synchronized void round(int epoch, int done, int of, double score) {
        long now = System.nanoTime();
        if (now - last > EVERY_NANOS) {
            last = now;
            emit("round", Map.of("epoch", epoch + 1, "round", done, "rounds", of, "score", score));
        }
    }

    /** Counts the live executors, so that the loss of one is seen. */
    static int executors(JavaSparkContext spark) {
        // The driver counts as one.
        return Math.max(0, spark.sc().statusTracker().getExecutorInfos().length - 1);
    }

    /** Runs a job and reports regularly how many rows are done; a row done twice counts twice. */
    static void during(JavaSparkContext spark, LongAccumulator done, int of, Runnable job) {
        Thread reporter = new Thread(() -> report(spark, done, of), "pyimgret-progress");
        reporter.setDaemon(true);
        reporter.start();
        try {
            job.run();
        } finally {
            reporter.interrupt();
        }
    }

    private static void report(JavaSparkContext spark, LongAccumulator done, int of) {
        try {
            long reported = 0;
            while (true) {
                Thread.sleep(EVERY_NANOS / 1_000_000);
                long now = Math.min(of, done.value());
                if (now > reported) {
                    emit("rows", Map.of("done", now, "of", of, "executors", executors(spark)));
                    reported = now;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
