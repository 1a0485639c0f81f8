package org.pyimgret.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Objects that several threads use, and that one of them releases. */
class HandlesTest {

    private final List<String> closed = new ArrayList<>();

    private final class Thing implements AutoCloseable {
        private final String name;

        Thing(String name) {
            this.name = name;
        }

        @Override
        public void close() {
            closed.add(name);
        }
    }

    @Test
    void objectReleasedInUseIsClosedByItsLastUser() {
        long handle = Handles.put(new Thing("network"));
        String name = Handles.shared(handle, Thing.class, thing -> {
            Handles.release(handle);
            assertTrue(closed.isEmpty());
            assertThrows(IllegalStateException.class, () -> Handles.shared(handle, Thing.class, t -> t));
            return thing.name;
        });
        assertEquals("network", name);
        assertEquals(List.of("network"), closed);
        Handles.release(handle);
        assertEquals(List.of("network"), closed);
    }

    @Test
    void ownerStaysOpenUntilItsDependentsAreReleased() {
        long owner = Handles.put(new Thing("network"));
        long trainer = Handles.put(owner, Thing.class, network -> new Thing("trainer of " + network.name));
        Handles.release(owner);
        assertTrue(closed.isEmpty());
        Handles.release(trainer);
        assertEquals(List.of("trainer of network", "network"), closed);
    }

    @Test
    void ownerIsNotHeldAfterFailedCreation() {
        long owner = Handles.put(new Thing("network"));
        assertThrows(
                ArithmeticException.class,
                () -> Handles.put(owner, Thing.class, network -> {
                    throw new ArithmeticException(network.name);
                }));
        Handles.release(owner);
        assertEquals(List.of("network"), closed);
    }

    @Test
    void exclusiveUseBlocksUsesOfTheOwnerAndSharedUsesOverlap() throws InterruptedException {
        long owner = Handles.put(new Thing("network"));
        long trainer = Handles.put(owner, Thing.class, network -> new Thing("trainer"));
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger together = new AtomicInteger();
        CountDownLatch both = new CountDownLatch(2);
        Handles.Action<Thing, RuntimeException> read = thing -> {
            together.accumulateAndGet(inside.incrementAndGet(), Math::max);
            both.countDown();
            await(both);
            inside.decrementAndGet();
        };
        List<Thread> threads = new ArrayList<>();
        Handles.Action<Thing, RuntimeException> change = thing -> {
            for (int i = 0; i < 2; i++) {
                threads.add(new Thread(() -> Handles.shared(owner, Thing.class, read)));
            }
            threads.forEach(Thread::start);
            pause();
            assertEquals(0, together.get());
        };
        Handles.alone(trainer, Thing.class, change);
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(2, together.get());
        Handles.release(trainer);
        Handles.release(owner);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
