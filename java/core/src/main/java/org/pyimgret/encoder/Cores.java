package org.pyimgret.encoder;

import java.util.function.Supplier;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;
import org.pyimgret.nn.BlasThreads;

/**
 * The processors that a network's own native threads use.
 *
 * <p>Networks that run beside each other are faster with one thread each than with all threads
 * each: theirs meet after every operation. OpenMP keeps the number for every thread that calls it,
 * so the host's threads keep theirs. BLAS knows one number only, see {@link BlasThreads}.
 */
final class Cores {

    private Cores() {}

    /** Runs work that has {@code others} like it beside it with its share of the processors. */
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
