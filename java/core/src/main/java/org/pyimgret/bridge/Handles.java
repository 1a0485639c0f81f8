package org.pyimgret.bridge;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.pyimgret.nn.Parameters;

/** Java objects that Python holds, each by a number that is never used twice. */
final class Handles {

    private static final Map<Long, Object> OBJECTS = new ConcurrentHashMap<>();
    private static final AtomicLong NEXT = new AtomicLong(1);

    private Handles() {}

    static long put(Object object) {
        long handle = NEXT.getAndIncrement();
        OBJECTS.put(handle, object);
        return handle;
    }

    static <T> T get(long handle, Class<T> type) {
        Object object = OBJECTS.get(handle);
        if (object == null) {
            throw new IllegalStateException("handle " + handle + " is closed or was never given");
        }
        return type.cast(object);
    }

    static void release(long handle) {
        Object object = OBJECTS.remove(handle);
        if (object instanceof MultiLayerNetwork) {
            Parameters.free((MultiLayerNetwork) object);
        } else if (object instanceof AutoCloseable) {
            try {
                ((AutoCloseable) object).close();
            } catch (Exception e) {
                throw new IllegalStateException("closing handle " + handle + " failed", e);
            }
        }
    }

    static int count() {
        return OBJECTS.size();
    }
}
