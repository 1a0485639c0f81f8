package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The batch that is made ahead is finished before anything that it reads or writes may be freed. */
class PrefetchTest {

    private static final int ROWS = 8;

    private final FloatPointer values = new FloatPointer(ROWS * 2L);
    private final DoublePointer progress = new DoublePointer(0, 0);
    private final Images images =
            new Images(Json.parse("{\"address\": " + values.address() + ", \"dtype\": \"float32\", \"count\": " + ROWS
                    + ", \"height\": 1, \"width\": 2, \"channels\": 1, \"layout\": \"dense\"}"));

    /** Targets whose second batch takes until it is let go. */
    private static final class SlowTargets implements Targets {
        final CountDownLatch begun = new CountDownLatch(1);
        final CountDownLatch go = new CountDownLatch(1);
        final AtomicBoolean ended = new AtomicBoolean();

        @Override
        public int size() {
            return 1;
        }

        @Override
        public long[] shape(long rows) {
            return new long[] {rows, 1};
        }

        @Override
        public void write(int source, float[] clean, float[] out, int at) {
            if (source < ROWS / 2) {
                return;
            }
            begun.countDown();
            try {
                // Nobody's interrupt ends what is written: the memory is in use until it is done.
                while (!go.await(1, TimeUnit.SECONDS)) {}
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            ended.set(source == ROWS - 1);
        }
    }

    private Batches batches(Targets targets) {
        return new Batches(images, targets, null, ROWS / 2, 0, false);
    }

    @Test
    void closingWaitsForTheBatchThatIsBeingMade() throws InterruptedException {
        SlowTargets targets = new SlowTargets();
        Batches batches = batches(targets);
        batches.request(0, 1);
        targets.begun.await();
        Thread closing = new Thread(batches::close);
        closing.start();
        closing.join(300);
        assertTrue(closing.isAlive(), "memory was freed that is being written");
        targets.go.countDown();
        closing.join(10_000);
        assertFalse(closing.isAlive());
        assertTrue(targets.ended.get());
    }

    @Test
    void aBatchThatJavaCannotAddressIsRefusedWithTheMostThatItCan() {
        Images wide = new Images(Json.parse("{\"address\": 0, \"dtype\": \"float32\", \"count\": 200000, \"layout\":"
                + " \"dense\", \"height\": 1, \"width\": 3900, \"channels\": 1}"));
        Targets same = Targets.of(Json.parse("{\"kind\": \"input\"}"), wide);
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> new Batches(wide, same, null, 140_000, 0, false));
        assertTrue(e.getMessage().contains("at most 137659"), e.getMessage());
    }

    @Test
    void aStepThatThrowsLeavesNoBatchBeingMade() throws InterruptedException {
        SlowTargets targets = new SlowTargets();
        TrainableNetwork failing = new Failing(targets);
        try (Trainer trainer = new Trainer(batches(targets), failing, 0)) {
            Thread later = new Thread(() -> letGoSoon(targets));
            later.start();
            ArithmeticException error =
                    assertThrows(ArithmeticException.class, () -> trainer.epoch(0, 0, progress.address()));
            assertEquals("no such step", error.getMessage());
            assertTrue(targets.ended.get(), "the epoch returned while its caller's memory was being read");
            later.join();
        }
    }

    private static void letGoSoon(SlowTargets targets) {
        try {
            Thread.sleep(300);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        targets.go.countDown();
    }

    /** Throws at its first step, when the next batch is being made. */
    private static final class Failing implements TrainableNetwork {
        private final SlowTargets targets;

        Failing(SlowTargets targets) {
            this.targets = targets;
        }

        @Override
        public double fit(INDArray features, INDArray labels, long seed) {
            try {
                targets.begun.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            throw new ArithmeticException("no such step");
        }

        @Override
        public double loss(INDArray features, INDArray labels) {
            return 0;
        }

        @Override
        public String engine() {
            return "none";
        }

        @Override
        public void close() {
            // Holds nothing.
        }
    }
}
