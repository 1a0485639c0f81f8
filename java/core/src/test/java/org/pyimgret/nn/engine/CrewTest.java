package org.pyimgret.nn.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.openblas.global.openblas;
import org.junit.jupiter.api.Test;

class CrewTest {

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
