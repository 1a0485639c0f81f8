package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Places values in one block of memory; those that are not needed at the same time share it. */
final class MemoryPlan {

    private static final int ALIGNMENT = 64;

    private MemoryPlan() {}

    /**
     * Sets the values' offsets, the largest first, each in the lowest gap that it fits in.
     *
     * @return bytes of the whole block
     */
    static long place(List<Value> values) {
        List<Value> bySize = new ArrayList<>(values);
        bySize.sort(Comparator.comparingLong(Value::bytes).reversed());
        List<Value> placed = new ArrayList<>();
        long end = 0;
        for (Value value : bySize) {
            value.offset = lowestGap(value, placed);
            placed.add(value);
            placed.sort(Comparator.comparingLong(other -> other.offset));
            end = Math.max(end, value.offset + aligned(value.bytes()));
        }
        return end;
    }

    private static long lowestGap(Value value, List<Value> placed) {
        long offset = 0;
        for (Value other : placed) {
            boolean together = value.first <= other.last && other.first <= value.last;
            if (together && offset + value.bytes() > other.offset) {
                offset = Math.max(offset, other.offset + aligned(other.bytes()));
            }
        }
        return offset;
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}
