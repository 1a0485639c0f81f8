package org.pyimgret.engine;

import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.function.IntConsumer;
import java.util.function.IntSupplier;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.OptimizationAlgorithm;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Trains a Deeplearning4j network on oneDNN, an iteration at a time, in place of its own {@code fit}.
 *
 * <p>Parameters, the optimizer's state and the counts of iterations stay the network's own: it can be
 * saved and run between any two iterations. A batch is divided among workers, each with primitives of
 * one thread; what they compute is added up in a fixed order, so that the result depends on nothing
 * but the seeds and the number of workers.
 */
public final class TrainingNetwork implements AutoCloseable {

    /** Reads the network anew for each size of batch: what is read holds copies of the weights. */
    private interface Reading {
        Graph read() throws UnsupportedLayerException;
    }

    private final INDArray parameters;
    private final Layer[] layers;
    private final Counts counts;
    private final Reading reading;
    private final Loss loss;
    private final WorkerGroup group = new WorkerGroup(WorkerGroup.threads());
    private final Optimizer optimizer;
    private final TrainingBatch batch = new TrainingBatch(group.size);
    private final Map<Integer, TrainingProgram> programs = new HashMap<>();
    private final int inputSize;
    private final long outputSize;

    /** What a stack and a graph keep, each in its own way. */
    private static final class Counts {
        final IntSupplier iteration;
        final IntSupplier epoch;
        final IntConsumer setIteration;
        final DoubleConsumer setScore;

        Counts(IntSupplier iteration, IntSupplier epoch, IntConsumer setIteration, DoubleConsumer setScore) {
            this.iteration = iteration;
            this.epoch = epoch;
            this.setIteration = setIteration;
            this.setScore = setScore;
        }
    }

    private TrainingNetwork(
            INDArray parameters,
            BaseMultiLayerUpdater<?> updater,
            Layer[] layers,
            Layer last,
            Reading reading,
            Counts counts,
            int inputSize,
            int rows)
            throws UnsupportedLayerException {
        this.parameters = parameters;
        this.layers = layers;
        this.reading = reading;
        this.counts = counts;
        this.inputSize = inputSize;
        try {
            loss = Loss.of(last.conf().getLayer());
            Optimizer.check(parameters, updater);
            optimizer = new Optimizer(parameters, updater, group.size);
            outputSize = program(rows).outputSize;
        } catch (UnsupportedLayerException | RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /**
     * Compiles a stack of layers.
     *
     * @param network what is to learn
     * @param rows of most batches
     * @param input what its first layer gets
     * @return the network in training, to be closed
     * @throws UnsupportedLayerException if {@code network.fit} is to be used
     */
    public static TrainingNetwork of(MultiLayerNetwork network, int rows, Shape input)
            throws UnsupportedLayerException {
        check(network.conf(), network.getListeners().isEmpty());
        int last = network.getnLayers() - 1;
        Counts counts = new Counts(
                network::getIterationCount, network::getEpochCount, network::setIterationCount, network::setScore);
        return new TrainingNetwork(
                network.params(),
                updater(network.getUpdater()),
                network.getLayers(),
                network.getLayer(last),
                () -> NetworkReader.read(network, 0, last, input, true),
                counts,
                input.size(),
                rows);
    }

    /**
     * Compiles a graph of one input and one output.
     *
     * @param network what is to learn
     * @param rows of most batches
     * @param input what the graph gets
     * @return the network in training, to be closed
     * @throws UnsupportedLayerException if {@code network.fit} is to be used
     */
    public static TrainingNetwork of(ComputationGraph network, int rows, Shape input) throws UnsupportedLayerException {
        if (network.getNumOutputArrays() != 1) {
            throw new UnsupportedLayerException("all", "training of several outputs");
        }
        check(network.conf(), network.getListeners().isEmpty());
        String last = network.getConfiguration().getNetworkOutputs().get(0);
        Counts counts = new Counts(
                network::getIterationCount,
                network::getEpochCount,
                network.getConfiguration()::setIterationCount,
                network::setScore);
        return new TrainingNetwork(
                network.params(),
                updater(network.getUpdater()),
                network.getLayers(),
                network.getLayer(last),
                () -> NetworkReader.read(network, last, input, true),
                counts,
                input.size(),
                rows);
    }

    private static void check(NeuralNetConfiguration settings, boolean noListeners) throws UnsupportedLayerException {
        String obstacle = InferenceNetwork.obstacle();
        boolean plain = noListeners
                && settings.isMiniBatch()
                && settings.getOptimizationAlgo() == OptimizationAlgorithm.STOCHASTIC_GRADIENT_DESCENT;
        if (obstacle != null || !plain) {
            throw new UnsupportedLayerException(
                    "all", obstacle != null ? obstacle : "training with listeners, or other than by gradient descent");
        }
    }

    private static BaseMultiLayerUpdater<?> updater(Object updater) throws UnsupportedLayerException {
        if (!(updater instanceof BaseMultiLayerUpdater)) {
            throw new UnsupportedLayerException("all", "training by " + updater);
        }
        return (BaseMultiLayerUpdater<?>) updater;
    }

    private TrainingProgram program(int rows) throws UnsupportedLayerException {
        TrainingProgram known = programs.get(rows);
        if (known != null) {
            return known;
        }
        Graph graph = Fusion.applyForTraining(reading.read());
        try {
            OneDnn.singleThreaded(() -> {
                TrainingBuilder builder = new TrainingBuilder(rows, group, optimizer, batch);
                programs.put(rows, TrainingCompiler.compile(graph, loss, builder));
            });
        } catch (UnsupportedOperationException e) {
            throw new UnsupportedLayerException("all", e.getMessage());
        }
        return programs.get(rows);
    }

    /**
     * Trains on a batch.
     *
     * @param features [rows, inputs] or [rows, channels, height, width], row after row
     * @param labels [rows, outputs], row after row
     * @param seed of what dropout leaves out
     * @return the mean loss over the rows, as of before the step
     * @throws IllegalArgumentException if they do not fit the network
     */
    public double fit(INDArray features, INDArray labels, long seed) {
        int rows = (int) features.size(0);
        if (features.length() != (long) rows * inputSize || labels.length() != rows * outputSize) {
            throw new IllegalArgumentException("images of shape " + Arrays.toString(features.shape())
                    + " and targets of shape " + Arrays.toString(labels.shape()) + " do not fit a network of "
                    + inputSize + " inputs and " + outputSize + " outputs");
        }
        TrainingProgram program;
        try {
            program = program(rows);
        } catch (UnsupportedLayerException e) {
            throw new IllegalStateException("a batch of " + rows + " rows: " + e.getMessage(), e);
        }
        INDArray x = plain(features);
        INDArray y = plain(labels);
        batch.features = address(x);
        batch.labels = address(y);
        batch.seed = (int) (seed ^ (seed >>> 32));
        Arrays.fill(batch.losses, 0);
        optimizer.begin(counts.iteration.getAsInt(), counts.epoch.getAsInt());
        group.run(worker -> OneDnn.singleThreaded(() -> program.run(worker)));
        double score = Arrays.stream(batch.losses).sum() / rows + optimizer.penalty();
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(y);
        int next = counts.iteration.getAsInt() + 1;
        counts.setScore.accept(score);
        counts.setIteration.accept(next);
        // As Deeplearning4j counts: in the network, and in every layer.
        for (Layer layer : layers) {
            layer.setIterationCount(next);
        }
        return score;
    }

    private static INDArray plain(INDArray array) {
        boolean asIs = array.dataType() == DataType.FLOAT
                && array.ordering() == 'c'
                && org.nd4j.linalg.api.shape.Shape.hasDefaultStridesForShape(array);
        return asIs ? array : array.castTo(DataType.FLOAT).dup('c');
    }

    private static long address(INDArray array) {
        return array.data().address() + array.offset() * Float.BYTES;
    }

    @Override
    public void close() {
        group.close();
        programs.values().forEach(TrainingProgram::close);
        programs.clear();
    }
}
