package org.pyimgret.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.Pointer;

/**
 * A {@link TrainingProgram} in the making: each worker's steps, and the memory that they will need.
 *
 * <p>Every worker has its own share of the images, and reuses its memory at its own pace. Vectors lie
 * as a whole batch, which the others read as well: their memory is used only once.
 */
final class TrainingBuilder {

    /** Something that a worker does, once the memory is there. */
    interface Binding {
        Runnable bind(long block);
    }

    /** Fills in a primitive for a worker. */
    interface Making {
        void make(int worker, PrimitiveBuilder builder);
    }

    final WorkerGroup group;
    final int rows;
    final Optimizer optimizer;
    final TrainingBatch batch;
    final Resources resources = new Resources();

    /** Images of each worker. */
    final int[] images;

    private final Lowering lowering = new Lowering(null, resources);
    private final List<Tensor> tensors = new ArrayList<>();
    private final List<Worker> workers = new ArrayList<>();
    private Pointer ones;
    private int position;

    /** What is made for one worker. */
    private final class Worker {
        final dnnl_stream stream = OneDnn.stream(resources);
        final Value scratch = Value.scratch();
        final List<Value> rooms = new ArrayList<>(List.of(scratch));
        final List<Binding> before = new ArrayList<>();
        final List<Binding> steps = new ArrayList<>();
        final List<Binding> updates = new ArrayList<>();
    }

    TrainingBuilder(int rows, WorkerGroup group, Optimizer optimizer, TrainingBatch batch) {
        this.rows = rows;
        this.group = group;
        this.optimizer = optimizer;
        this.batch = batch;
        images = new int[group.size];
        for (int worker = 0; worker < group.size; worker++) {
            images[worker] = firstRow(worker + 1) - firstRow(worker);
            workers.add(new Worker());
        }
    }

    int firstRow(int worker) {
        return (int) ((long) rows * worker / group.size);
    }

    /** Begins the steps of another node; what nothing uses from here on may be overwritten. */
    void next() {
        position++;
    }

    /** Makes a tensor that is filled now. */
    Tensor tensor(Shape shape) {
        Tensor tensor = new Tensor(shape, images, position);
        tensors.add(tensor);
        return tensor;
    }

    /** Makes room for bytes of a worker that are needed from now on. */
    Value room(int worker, long bytes) {
        Value room = Value.room(position, position).grown(bytes);
        workers.get(worker).rooms.add(room);
        return room;
    }

    /** Notes that what comes now uses a tensor. */
    void use(Tensor tensor) {
        each(worker -> use(tensor.shares[worker]));
    }

    void use(Value value) {
        value.last = Math.max(value.last, position);
    }

    /** Does something for each worker that has images. */
    void each(IntConsumer work) {
        for (int worker = 0; worker < images.length; worker++) {
            if (images[worker] > 0) {
                work.accept(worker);
            }
        }
    }

    /** Adds a primitive for each worker that has images. */
    void each(String layer, Making making) {
        each(worker -> add(worker, layer, making));
    }

    /** Adds a primitive for a worker. */
    void add(int worker, String layer, Making making) {
        workers.get(worker).steps.add(primitive(worker, layer, making));
    }

    void add(int worker, Binding binding) {
        workers.get(worker).steps.add(binding);
    }

    /** Adds a primitive before all other steps, after which the workers wait for each other. */
    void addBefore(int worker, String layer, Making making) {
        workers.get(worker).before.add(primitive(worker, layer, making));
    }

    /** Adds what changes parameters that the way back may still read. */
    void addUpdate(int worker, Binding binding) {
        workers.get(worker).updates.add(binding);
    }

    /** Adds the step of a parameter along the sum of gradients, a slice for each worker. */
    void addUpdates(Optimizer.Parameter parameter, List<Pointer> gradients) {
        long count = parameter.array.length();
        for (int worker = 0; worker < group.size; worker++) {
            int number = worker;
            long from = group.first(worker, count);
            int length = Math.toIntExact(group.first(worker + 1, count) - from);
            if (length > 0) {
                addUpdate(worker, block -> {
                    Optimizer.Slice slice = optimizer.new Slice(number, parameter, from, length);
                    FloatView[] parts = gradients.stream()
                            .map(part -> new FloatView(part.address() + from * Float.BYTES, length))
                            .toArray(FloatView[]::new);
                    return () -> slice.step(parts, 0);
                });
            }
        }
    }

    /** Adds the steps of an operation that needs nothing but its inputs. */
    void lower(int worker, Node what, List<View> inputs, View output) {
        Worker of = workers.get(worker);
        lowering.lower(what, inputs, output, of.scratch).forEach(step -> of.steps.add(call(of, step)));
    }

    /** Lets the workers wait for each other. */
    void barrier() {
        workers.forEach(worker -> barrier(worker.steps));
    }

    private void barrier(List<Binding> list) {
        if (group.size > 1) {
            list.add(block -> group::await);
        }
    }

    private Binding primitive(int worker, String layer, Making making) {
        Worker of = workers.get(worker);
        try (PrimitiveBuilder builder = new PrimitiveBuilder(layer, resources)) {
            making.make(worker, builder);
            return call(of, builder.build(of.scratch));
        }
    }

    private Binding call(Worker of, Step step) {
        return block -> new PrimitiveCall(step, block, of.stream, resources);
    }

    /** A one for each row: by it, a product sums a matrix's columns. */
    Pointer ones() {
        if (ones == null) {
            ones = resources.allocate((long) rows * Float.BYTES);
            float[] values = new float[rows];
            Arrays.fill(values, 1f);
            Memory.floats(ones.address(), rows).put(values, 0, rows);
        }
        return ones;
    }

    /** Gives the memory, and every step its part of it. */
    TrainingProgram build(int outputSize) {
        long block = resources.allocate(place()).address();
        boolean prepares = workers.stream().anyMatch(worker -> !worker.before.isEmpty());
        Runnable[][] tasks = new Runnable[group.size][];
        Arrays.setAll(tasks, number -> {
            Worker worker = workers.get(number);
            List<Binding> all = new ArrayList<>(worker.before);
            if (prepares) {
                barrier(all);
            }
            all.addAll(worker.steps);
            barrier(all);
            all.addAll(worker.updates);
            return all.stream().map(binding -> binding.bind(block)).toArray(Runnable[]::new);
        });
        return new TrainingProgram(tasks, outputSize, resources);
    }

    /** Places all that is used in one block, whose size it returns. */
    private long place() {
        List<Value> whole = new ArrayList<>();
        tensors.stream().filter(tensor -> tensor.whole != null).forEach(tensor -> whole.add(tensor.whole));
        whole.forEach(value -> value.last = Integer.MAX_VALUE);
        long bytes = MemoryPlan.place(whole);
        for (int worker = 0; worker < group.size; worker++) {
            List<Value> own = workers.get(worker).rooms;
            for (Tensor tensor : tensors) {
                if (tensor.whole == null && tensor.shares[worker] != null) {
                    own.add(tensor.shares[worker]);
                }
            }
            long size = MemoryPlan.place(own);
            long start = bytes;
            own.forEach(value -> value.offset += start);
            bytes += size;
        }
        tensors.stream().filter(tensor -> tensor.whole != null).forEach(Tensor::placeShares);
        return bytes;
    }
}
