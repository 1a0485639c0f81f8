package org.pyimgret.bridge;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.pyimgret.nn.CompiledNetworks;
import org.pyimgret.nn.Parameters;

/**
 * Java objects that Python holds, each by a number that is never used twice.
 *
 * <p>Several threads may use one object, together or exclusively. An object that is released while
 * it is used is closed by the last of its users.
 */
final class Handles {

    private static final Map<Long, Entry> ENTRIES = new ConcurrentHashMap<>();
    private static final AtomicLong NEXT = new AtomicLong(1);

    private Handles() {}

    /** What is done with an object, and gives a result. */
    interface Function<T, R, E extends Exception> {
        R apply(T object) throws E;
    }

    /** What is done with an object. */
    interface Action<T, E extends Exception> extends Function<T, Void, E> {
        void accept(T object) throws E;

        @Override
        default Void apply(T object) throws E {
            accept(object);
            return null;
        }
    }

    /** An object, and how many users it has, Python's hold on its number being one of them. */
    private static final class Entry {
        private final Object object;
        private final Entry owner;
        private final ReadWriteLock lock;
        private int users = 1;

        Entry(Object object, Entry owner) {
            this.object = object;
            this.owner = owner;
            // Fair, or a thread that encodes much would delay another that encodes one image.
            this.lock = owner == null ? new ReentrantReadWriteLock(true) : owner.lock;
        }

        synchronized boolean enter() {
            if (users > 0) {
                users++;
                return true;
            }
            return false;
        }

        void leave() {
            synchronized (this) {
                if (--users > 0) {
                    return;
                }
            }
            try {
                close(object);
            } finally {
                if (owner != null) {
                    owner.leave();
                }
            }
        }
    }

    static long put(Object object) {
        return put(new Entry(object, null));
    }

    /**
     * Stores an object that works on another one.
     *
     * @param owner handle of the other, which stays open as long, and is used when this one is used
     * @param type what the owner is
     * @param make gives the object
     */
    static <T> long put(long owner, Class<T> type, Function<T, Object, RuntimeException> make) {
        Entry entry = entered(owner);
        try {
            return put(new Entry(make.apply(type.cast(entry.object)), entry));
        } catch (RuntimeException | Error e) {
            entry.leave();
            throw e;
        }
    }

    private static long put(Entry entry) {
        long handle = NEXT.getAndIncrement();
        ENTRIES.put(handle, entry);
        return handle;
    }

    /** Uses an object together with other threads that do the same. */
    static <T, R, E extends Exception> R shared(long handle, Class<T> type, Function<T, R, E> use) throws E {
        Entry entry = entered(handle);
        return use(entry, entry.lock.readLock(), type, use);
    }

    /** Uses an object while no other thread does. */
    static <T, R, E extends Exception> R alone(long handle, Class<T> type, Function<T, R, E> use) throws E {
        Entry entry = entered(handle);
        return use(entry, entry.lock.writeLock(), type, use);
    }

    private static Entry entered(long handle) {
        Entry entry = ENTRIES.get(handle);
        if (entry == null || !entry.enter()) {
            throw new IllegalStateException("handle " + handle + " is closed or was never given");
        }
        return entry;
    }

    private static <T, R, E extends Exception> R use(Entry entry, Lock lock, Class<T> type, Function<T, R, E> use)
            throws E {
        try {
            lock.lock();
            try {
                return use.apply(type.cast(entry.object));
            } finally {
                lock.unlock();
            }
        } finally {
            entry.leave();
        }
    }

    static void release(long handle) {
        Entry entry = ENTRIES.remove(handle);
        if (entry != null) {
            entry.leave();
        }
    }

    private static void close(Object object) {
        if (object instanceof MultiLayerNetwork) {
            Parameters.free((MultiLayerNetwork) object);
        } else if (object instanceof ComputationGraph) {
            CompiledNetworks.changed((ComputationGraph) object);
        } else if (object instanceof AutoCloseable) {
            try {
                ((AutoCloseable) object).close();
            } catch (Exception e) {
                throw new IllegalStateException("closing " + object + " failed", e);
            }
        }
    }

    static int count() {
        return ENTRIES.size();
    }
}
