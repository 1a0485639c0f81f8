package org.pyimgret.engine;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A Deeplearning4j network, or some of it, compiled to oneDNN for inference.
 *
 * <p>It knows the weights as they were when it was made. Safe for use by several threads, which
 * share the weights. Nothing of it runs on OpenMP's threads: many rows go through as streams, a
 * single-threaded network on each core, and a lone image is shared by the workers.
 */
public final class InferenceNetwork implements AutoCloseable {

    private static final Cleaner CLEANER = Cleaner.create();

    private final Graph graph;
    private final int largestBatch;
    private final AtomicInteger holders = new AtomicInteger(1);
    private final LoneImagePolicy policy = new LoneImagePolicy();
    private final State state = new State();
    private final Cleaner.Cleanable cleanable = CLEANER.register(this, state);

    /** What is freed when the network is, or when nobody has it any more. */
    private static final class State implements Runnable {
        final ParameterStore parameters = new ParameterStore();
        final Map<List<Integer>, Program> programs = new ConcurrentHashMap<>();

        @Override
        public void run() {
            programs.values().forEach(Program::close);
            programs.clear();
            parameters.close();
        }
    }

    private InferenceNetwork(Graph graph) throws UnsupportedLayerException {
        this.graph = graph;
        this.largestBatch = BatchSize.most(graph);
        try {
            program(1, 1);
        } catch (UnsupportedOperationException e) {
            close();
            throw new UnsupportedLayerException(graph.output().name, e.getMessage());
        }
    }

    private static InferenceNetwork compiled(Graph read, Precision precision, float[] sample)
            throws UnsupportedLayerException {
        Graph graph = Fusion.apply(channelsFirst(read));
        if (precision == Precision.BFLOAT16) {
            graph = Quantization.bfloat16(graph);
        } else if (precision == Precision.INT8) {
            if (!OneDnn.hasVnni()) {
                // Without them sums may overflow, and nothing is won.
                throw new UnsupportedLayerException(
                        "all", "the processor has no instructions for eight-bit numbers (VNNI)");
            }
            graph = Quantization.int8(graph, sample);
        }
        return new InferenceNetwork(graph);
    }

    /** Results that are feature maps are given as Deeplearning4j gives them. */
    private static Graph channelsFirst(Graph graph) {
        Node last = graph.output();
        return last.shape.vector
                ? graph
                : Graph.of(graph.input(), Node.of(last.name, new Operation.Flatten(), List.of(last)));
    }

    /**
     * Compiles some layers of a stack.
     *
     * @param network whose weights are copied
     * @param from the first layer
     * @param to the last layer
     * @param input what the first layer gets
     * @param precision of the numbers between layers
     * @param sample some inputs, one after the other, for {@link Precision#INT8}
     * @return the compiled network
     * @throws UnsupportedLayerException if Deeplearning4j itself has to run it
     */
    public static InferenceNetwork of(
            MultiLayerNetwork network, int from, int to, Shape input, Precision precision, float... sample)
            throws UnsupportedLayerException {
        checkBackend();
        return compiled(NetworkReader.read(network, from, to, input, false), precision, sample);
    }

    /**
     * Compiles a graph of one input up to a vertex.
     *
     * @param network whose weights are copied
     * @param vertex whose result is wanted
     * @param input what the graph gets
     * @param precision of the numbers between layers
     * @param sample some inputs, one after the other, for {@link Precision#INT8}
     * @return the compiled network
     * @throws UnsupportedLayerException if Deeplearning4j itself has to run it
     */
    public static InferenceNetwork of(
            ComputationGraph network, String vertex, Shape input, Precision precision, float... sample)
            throws UnsupportedLayerException {
        checkBackend();
        return compiled(NetworkReader.read(network, vertex, input, false), precision, sample);
    }

    private static void checkBackend() throws UnsupportedLayerException {
        String obstacle = obstacle();
        if (obstacle != null) {
            throw new UnsupportedLayerException("all", obstacle);
        }
    }

    /**
     * Says what keeps every network from being compiled here.
     *
     * @return the reason and what to do, or null where networks can be compiled
     */
    public static String obstacle() {
        if (!Nd4j.getEnvironment().isCPU()) {
            return "arrays are not in the processor's memory";
        }
        try {
            OneDnn.engine();
            return null;
        } catch (LinkageError e) {
            return "oneDNN cannot be loaded; add the natives of org.bytedeco:dnnl and"
                    + " org.bytedeco:opencl for this platform ("
                    + e
                    + ")";
        }
    }

    /**
     * Says how long an input is.
     *
     * @return numbers in a row that goes in
     */
    public int inputSize() {
        return graph.input().shape.size();
    }

    /**
     * Says how long a result is.
     *
     * @return numbers in a row that comes out; feature maps as (channel, row, column)
     */
    public int outputSize() {
        return graph.output().shape.size();
    }

    /**
     * Runs rows on the workers, or on the calling thread while others use these.
     *
     * @param sources called once on each thread
     * @param rows how many rows
     * @param sink takes the results
     */
    public void run(Supplier<Rows.Source> sources, long rows, Rows.Sink sink) {
        WorkerGroup group = WorkerGroup.shared();
        if (rows == 1) {
            runLone(group, sources.get(), sink);
            return;
        }
        AtomicLong next = new AtomicLong();
        long share = (rows + group.size - 1) / group.size;
        Program program = program(BatchSize.of(share, largestBatch), 1);
        boolean ran = group.size > 1 && group.tryRun(part -> takeAll(program, sources.get(), rows, next, sink));
        if (!ran) {
            takeAll(program, sources.get(), rows, next, sink);
        }
    }

    /**
     * Runs rows on the calling thread alone, beside which others may run.
     *
     * @param source the rows
     * @param rows how many
     * @param sink takes the results
     */
    public void runAlone(Rows.Source source, long rows, Rows.Sink sink) {
        if (rows > 0) {
            Program program = program(BatchSize.of(rows, largestBatch), 1);
            takeAll(program, source, rows, new AtomicLong(), sink);
        }
    }

    /** Takes batches until there are none left. */
    private void takeAll(Program program, Rows.Source source, long rows, AtomicLong next, Rows.Sink sink) {
        int batch = program.images();
        Execution execution = program.acquire();
        try {
            OneDnn.singleThreaded(() -> {
                long first = next.getAndAdd(batch);
                for (; first < rows; first = next.getAndAdd(batch)) {
                    int count = (int) Math.min(batch, rows - first);
                    source.read(first, count, execution.input.position(0));
                    execution.run(0, () -> {});
                    sink.write(first, count * outputSize(), execution.output);
                }
            });
        } finally {
            program.release(execution);
            // NB: or else the memory could be freed as soon as nothing else of this is used.
            Reference.reachabilityFence(this);
        }
    }

    private void runLone(WorkerGroup group, Rows.Source source, Rows.Sink sink) {
        boolean shares = group.size > 1 && policy.shares();
        Program program = program(1, shares ? group.size : 1);
        long start = System.nanoTime();
        boolean ran = shares && runShared(group, program, source, sink);
        if (!ran) {
            runAlone(source, 1, sink);
        }
        policy.took(ran, System.nanoTime() - start);
    }

    /** Runs one image on all workers; false if they are busy. */
    private boolean runShared(WorkerGroup group, Program program, Rows.Source source, Rows.Sink sink) {
        Execution execution = program.acquire();
        try {
            source.read(0, 1, execution.input.position(0));
            boolean ran = group.tryRun(part -> OneDnn.singleThreaded(() -> execution.run(part, group::await)));
            if (ran) {
                sink.write(0, outputSize(), execution.output);
            }
            return ran;
        } finally {
            program.release(execution);
            Reference.reachabilityFence(this);
        }
    }

    private Program program(int images, int parts) {
        return state.programs.computeIfAbsent(List.of(images, parts), key -> {
            Program[] compiled = new Program[1];
            OneDnn.singleThreaded(() -> compiled[0] = Compiler.compile(graph, images, parts, state.parameters));
            return compiled[0];
        });
    }

    /**
     * Gives this network to one user more, who is to close it as well.
     *
     * @return whether it could be: false when the last one has closed it
     */
    public boolean share() {
        return holders.getAndUpdate(count -> count == 0 ? 0 : count + 1) > 0;
    }

    /** Frees the weights and the memory of all runs, when all who have this network closed it. */
    @Override
    public void close() {
        if (holders.decrementAndGet() == 0) {
            cleanable.clean();
        }
    }
}
