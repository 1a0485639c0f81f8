package org.pyimgret.nn.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.openblas.global.openblas;
import org.junit.jupiter.api.Test;

class CrewTest {

    @Test
    void noOneGoesOnBeforeAllHaveMet() {
        AtomicInteger before = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        try (Crew crew = new Crew(4)) {
            crew.run(
                    place -> {
                        for (int round = 1; round <= 2_000; round++) {
                            before.incrementAndGet();
                            crew.await();
                            wrong.addAndGet(before.get() == 4 * round ? 0 : 1);
                            crew.await();
                        }
                    });
        }
        assertEquals(0, wrong.get());
    }

    @Test
    void aFailureEndsTheOthersWaitAndIsToldAndTheCrewWorksOn() {
        try (Crew crew = new Crew(3)) {
            IllegalStateException error =
                    assertThrows(IllegalStateException.class, () -> crew.run(place -> failAtOne(place, crew)));
            assertTrue(error.getMessage().contains("no such number"), error.getMessage());
            AtomicInteger ran = new AtomicInteger();
            crew.run(
                    place -> {
                        crew.await();
                        ran.incrementAndGet();
                    });
            assertEquals(3, ran.get());
        }
    }

    private static void failAtOne(int place, Crew crew) {
        if (place == 1) {
            throw new ArithmeticException("no such number");
        }
        crew.await();
    }

    @Test
    void blasHasOneThreadWhileATaskRunsAndItsOwnAfterwards() {
        int before = openblas.blas_get_num_threads();
        AtomicInteger most = new AtomicInteger();
        try (Crew crew = new Crew(2)) {
            crew.run(place -> most.accumulateAndGet(openblas.blas_get_num_threads(), Math::max));
        }
        assertEquals(1, most.get());
        assertEquals(before, openblas.blas_get_num_threads());
    }

    @Test
    void blasHasItsNumberBackWhenOverlappingTasksEndInAnyOrder() {
        int before = openblas.blas_get_num_threads();
        BlasThreads.enter(1);
        BlasThreads.enter(1);
        BlasThreads.leave(1);
        assertEquals(1, openblas.blas_get_num_threads());
        BlasThreads.enter(BlasThreads.ALL);
        assertEquals(before, openblas.blas_get_num_threads());
        BlasThreads.enter(1);
        assertEquals(before, openblas.blas_get_num_threads(), "a limit must not change what is claimed");
        BlasThreads.leave(1);
        BlasThreads.leave(BlasThreads.ALL);
        assertEquals(1, openblas.blas_get_num_threads());
        BlasThreads.leave(1);
        assertEquals(before, openblas.blas_get_num_threads());
    }

    @Test
    void aCrewThatIsClosedLeavesNoThread() throws InterruptedException {
        long before = living();
        for (int i = 0; i < 20; i++) {
            try (Crew crew = new Crew(3)) {
                crew.run(place -> crew.await());
            }
        }
        for (int i = 0; i < 200 && living() > before; i++) {
            Thread.sleep(10);
        }
        assertTrue(living() <= before, living() + " threads, before " + before);
    }

    private static long living() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("pyimgret-crew-"))
                .count();
    }

    @Test
    void sharesCoverAllColumnsOnce() {
        for (int columns : new int[] {1, 15, 30, 100, 784, 1000}) {
            for (int size = 1; size <= 4; size++) {
                try (Crew crew = new Crew(size)) {
                    assertEquals(0, crew.from(0, columns));
                    assertEquals(columns, crew.to(size - 1, columns));
                    for (int place = 0; place < size; place++) {
                        int from = crew.from(place, columns);
                        assertTrue(from <= crew.to(place, columns));
                        assertTrue(from % 16 == 0 || from == columns, from + " of " + columns);
                    }
                }
            }
        }
    }
}
