package org.pyimgret.nn;

import java.util.function.IntConsumer;
import org.bytedeco.openblas.global.openblas;
import org.pyimgret.engine.WorkerGroup;

/**
 * How many threads BLAS takes for a product: one number for the whole process.
 *
 * <p>Whoever multiplies on several threads of its own lowers it meanwhile; several may do so at once
 * and end in any order. A sum of products depends on the number in its last bits, so who must repeat
 * them claims {@link #ALL}, and nobody lowers it meanwhile.
 */
public final class BlasThreads {

    /** As many as BLAS was set to use. */
    public static final int ALL = Integer.MAX_VALUE;

    private static int all;
    private static int claims;
    private static int limits;
    private static int lowest;

    private BlasThreads() {}

    /**
     * Sets the number until {@link #leave} is called.
     *
     * @param most threads that a product may take, or {@link #ALL}
     */
    public static synchronized void enter(int most) {
        if (claims + limits == 0) {
            all = openblas.blas_get_num_threads();
        }
        if (most == ALL) {
            claims++;
        } else {
            lowest = limits++ == 0 ? most : Math.min(most, lowest);
        }
        update();
    }

    /**
     * Ends what {@link #enter} began.
     *
     * @param most what was given there
     */
    public static synchronized void leave(int most) {
        if (most == ALL) {
            claims--;
        } else {
            limits--;
        }
        update();
    }

    /**
     * Runs a task on workers whose products take one thread each: their shares are the parallelism.
     *
     * @param group the workers
     * @param task gets the worker's number, from 0
     */
    static void run(WorkerGroup group, IntConsumer task) {
        enter(1);
        try {
            group.run(task);
        } finally {
            leave(1);
        }
    }

    private static void update() {
        int wanted = claims > 0 || limits == 0 ? all : Math.min(all, lowest);
        // NB: to set the number takes a third of a millisecond, to ask for it nothing.
        if (openblas.blas_get_num_threads() != wanted) {
            openblas.blas_set_num_threads(wanted);
        }
    }
}
