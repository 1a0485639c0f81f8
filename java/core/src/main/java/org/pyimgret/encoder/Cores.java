package org.pyimgret.encoder;

import java.util.function.Supplier;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;
import org.pyimgret.nn.BlasThreads;

/**
 * The processors that a network's own native threads use.
 *
 * <p>Networks that run beside each other are faster with one thread each than with all threads
 * each, which wait for each other after every operation. OpenMP stores the number for every thread
 * that calls it, so the host's threads are not affected. BLAS has one number for the process, see
 * {@link BlasThreads}.
 */
final class Cores {

    private Cores() {}

    /** Runs work with its share of the processors, while {@code others} like it run in parallel. */
    static <T> T shared(int others, Supplier<T> work) {
        if (others < 1) {
            return work.get();
        }
        NativeOps ops = NativeOpsHolder.getInstance().getDeviceNativeOps();
        int all = ops.ompGetMaxThreads();
        int share = Math.max(1, all / (others + 1));
        ops.setOmpNumThreads(share);
        BlasThreads.enter(share);
        try {
            return work.get();
        } finally {
            BlasThreads.leave(share);
            ops.setOmpNumThreads(all);
        }
    }
}
