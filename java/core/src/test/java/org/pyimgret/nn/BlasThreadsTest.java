package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.openblas.global.openblas;
import org.junit.jupiter.api.Test;
import org.pyimgret.engine.WorkerGroup;

class BlasThreadsTest {

    @Test
    void blasHasOneThreadWhileWorkersRunAndItsOwnAfterwards() {
        int before = openblas.blas_get_num_threads();
        AtomicInteger most = new AtomicInteger();
        try (WorkerGroup group = new WorkerGroup(2)) {
            BlasThreads.run(group, worker -> most.accumulateAndGet(openblas.blas_get_num_threads(), Math::max));
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
}
