package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class WorkerGroupTest {

    @Test
    void noneGoesOnBeforeAllHaveMet() {
        AtomicInteger before = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        try (WorkerGroup group = new WorkerGroup(4)) {
            group.run(number -> {
                for (int round = 1; round <= 2_000; round++) {
                    before.incrementAndGet();
                    group.await();
                    wrong.addAndGet(before.get() == 4 * round ? 0 : 1);
                    group.await();
                }
            });
        }
        assertEquals(0, wrong.get());
    }

    @Test
    void aFailureEndsTheWaitOfTheOthersAndTheGroupStaysUsable() {
        try (WorkerGroup group = new WorkerGroup(3)) {
            IllegalStateException error =
                    assertThrows(IllegalStateException.class, () -> group.run(number -> failAtOne(number, group)));
            assertTrue(error.getMessage().contains("no such number"), error.getMessage());
            AtomicInteger ran = new AtomicInteger();
            group.run(number -> {
                group.await();
                ran.incrementAndGet();
            });
            assertEquals(3, ran.get());
        }
    }

    private static void failAtOne(int number, WorkerGroup group) {
        if (number == 1) {
            throw new ArithmeticException("no such number");
        }
        group.await();
    }

    @Test
    void aBusyGroupIsNotWaitedFor() {
        try (WorkerGroup group = new WorkerGroup(2)) {
            group.run(number -> {
                if (number == 0) {
                    assertFalse(group.tryRun(other -> {}));
                }
            });
            assertTrue(group.tryRun(number -> {}));
        }
    }

    @Test
    void sleepingWorkersWakeForATask() throws InterruptedException {
        AtomicInteger ran = new AtomicInteger();
        try (WorkerGroup group = new WorkerGroup(3)) {
            for (int i = 0; i < 20; i++) {
                Thread.sleep(5);
                group.run(number -> ran.incrementAndGet());
            }
        }
        assertEquals(60, ran.get());
    }

    @Test
    void aClosedGroupLeavesNoThread() throws InterruptedException {
        long before = live();
        for (int i = 0; i < 20; i++) {
            try (WorkerGroup group = new WorkerGroup(3)) {
                group.run(number -> group.await());
            }
        }
        for (int i = 0; i < 200 && live() > before; i++) {
            Thread.sleep(10);
        }
        assertTrue(live() <= before, live() + " threads, before " + before);
    }

    private static long live() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("pyimgret-worker-"))
                .count();
    }

    @Test
    void sharesCoverAnArrayOnceAndEndWithCacheLines() {
        for (int count : new int[] {1, 15, 30, 100, 784, 1000}) {
            for (int size = 1; size <= 4; size++) {
                try (WorkerGroup group = new WorkerGroup(size)) {
                    assertEquals(0, group.first(0, count));
                    assertEquals(count, group.first(size, count));
                    for (int thread = 0; thread < size; thread++) {
                        long first = group.first(thread, count);
                        assertTrue(first <= group.first(thread + 1, count));
                        assertTrue(first % 16 == 0 || first == count, first + " of " + count);
                    }
                }
            }
        }
    }
}
