package org.pyimgret.nn;

import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.BytePointer;
import org.pyimgret.engine.Memory;

/**
 * Whether the caller of a long computation wants it to end: a byte of the caller's, polled.
 *
 * <p>A thread that serves such a caller watches one byte for all of its calls. Computations look at
 * {@link #current()} on that thread, and hand it to threads that help them.
 */
public final class StopFlag {

    private static final ThreadLocal<StopFlag> CURRENT = ThreadLocal.withInitial(() -> new StopFlag(null));

    private final BytePointer flag;

    private StopFlag(BytePointer flag) {
        this.flag = flag;
    }

    /**
     * Makes a byte the calling thread's flag.
     *
     * @param address of the byte, other than 0 meaning stop; 0 for no byte any more
     */
    public static void watch(long address) {
        CURRENT.set(new StopFlag(address == 0 ? null : Memory.bytes(address, 1)));
    }

    /**
     * Gives the flag of the calling thread.
     *
     * @return one that is never raised, on a thread that watches none
     */
    public static StopFlag current() {
        return CURRENT.get();
    }

    /**
     * Asks whether to end.
     *
     * @return whether the caller wants the computation to end
     */
    public boolean raised() {
        return flag != null && flag.get(0) != 0;
    }

    /**
     * Ends the computation when the caller wants it to.
     *
     * @throws CancellationException when the flag is raised
     */
    public void check() {
        if (raised()) {
            throw new CancellationException("the caller has stopped the computation");
        }
    }
}
