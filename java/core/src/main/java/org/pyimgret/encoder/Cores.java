package org.pyimgret.encoder;

import org.bytedeco.openblas.global.openblas;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

import java.util.function.Supplier;

/**
 * The processors that a network's own native threads use.
 *
 * <p>Networks that run beside each other are faster with one thread each than with all threads
 * each: theirs meet after every operation. OpenMP keeps the number for every thread that calls it,
 * so the host's threads keep theirs. BLAS knows one number only: it gets it back when the last of
 * the networks has run.
 */
final class Cores {

    private static int sharing;
    private static int before;

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
        enter(share);
        try {
            return work.get();
        } finally {
            leave();
            ops.setOmpNumThreads(all);
        }
    }

    private static synchronized void enter(int share) {
        if (sharing++ == 0) {
            before = openblas.blas_get_num_threads();
            openblas.blas_set_num_threads(Math.min(before, share));
        }
    }

    private static synchronized void leave() {
        if (--sharing == 0) {
            openblas.blas_set_num_threads(before);
        }
    }
}
