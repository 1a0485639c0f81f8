package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A network's weights in the formats that its primitives want.
 *
 * <p>Each is reordered once; all programs of a network, whatever their batch, share those that want
 * the same format.
 */
final class ParameterStore implements AutoCloseable {

    private final Resources resources = new Resources();
    private final List<Entry> entries = new ArrayList<>();
    private final Map<Encoding, float[]> scales = new ConcurrentHashMap<>();

    /** Numbers in one format. */
    private static final class Entry {
        float[] numbers;
        int start;
        dnnl_memory_desc description;
        dnnl_memory memory;
    }

    /** Gives the one scale of a result's numbers. */
    dnnl_memory scale(Encoding encoding) {
        float[] one = scales.computeIfAbsent(encoding, key -> new float[] {key.scale});
        return get(one, 0, 1);
    }

    /** Gives some numbers in a row. */
    dnnl_memory get(float[] numbers, int start, int count) {
        try (Resources temporary = new Resources()) {
            dnnl_memory_desc row = OneDnn.describe(temporary, dnnl_f32, dnnl_a, count);
            return get(numbers, start, row, row);
        }
    }

    /**
     * Gives numbers in a format.
     *
     * @param numbers of which some are wanted
     * @param start the first of them
     * @param plain how they lie
     * @param wanted how they are to lie
     */
    synchronized dnnl_memory get(float[] numbers, int start, dnnl_memory_desc plain, dnnl_memory_desc wanted) {
        for (Entry entry : entries) {
            if (entry.numbers == numbers
                    && entry.start == start
                    && dnnl_memory_desc_equal(entry.description, wanted) != 0) {
                return entry.memory;
            }
        }
        Entry entry = new Entry();
        entry.numbers = numbers;
        entry.start = start;
        entry.description = OneDnn.copy(resources, wanted);
        Pointer data = resources.allocate(dnnl_memory_desc_get_size(wanted));
        entry.memory = OneDnn.memory(resources, entry.description, data);
        try (Resources temporary = new Resources()) {
            long bytes = dnnl_memory_desc_get_size(plain);
            Pointer raw = temporary.allocate(bytes);
            int count = (int) (bytes / Float.BYTES);
            FloatPointer floats = Memory.floats(raw.address(), count);
            floats.put(numbers, start, count);
            reorder(temporary, plain, OneDnn.memory(temporary, plain, raw), entry);
        }
        entries.add(entry);
        return entry.memory;
    }

    private static void reorder(Resources temporary, dnnl_memory_desc plain, dnnl_memory from, Entry to) {
        dnnl_primitive_desc description = new dnnl_primitive_desc();
        OneDnn.check(
                dnnl_reorder_primitive_desc_create(
                        description, plain, OneDnn.engine(), to.description, OneDnn.engine(), null),
                "a reorder of weights");
        temporary.add(() -> dnnl_primitive_desc_destroy(description));
        dnnl_primitive primitive = new dnnl_primitive();
        OneDnn.check(dnnl_primitive_create(primitive, description), "a reorder of weights");
        temporary.add(() -> dnnl_primitive_destroy(primitive));
        try (dnnl_exec_arg_t arguments = new dnnl_exec_arg_t(2)) {
            arguments.position(0).arg(DNNL_ARG_FROM).memory(from);
            arguments.position(1).arg(DNNL_ARG_TO).memory(to.memory);
            dnnl_stream stream = OneDnn.stream(temporary);
            OneDnn.check(dnnl_primitive_execute(primitive, stream, 2, arguments.position(0)), "a reorder of weights");
            OneDnn.check(dnnl_stream_wait(stream), "a reorder of weights");
        }
    }

    @Override
    public void close() {
        resources.close();
    }
}
