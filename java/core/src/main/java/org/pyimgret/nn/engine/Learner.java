package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Trains a stack of convolutions and dense layers, an iteration at a time, in place of {@code network.fit}.
 *
 * <p>Every thread owns a share of the images in the convolutions ({@link Maps}), and a share of each
 * dense layer's units: their products, normalisation, activation, gradients and steps. In the dense
 * layers the threads meet twice a layer, once in each direction.
 */
public final class Learner implements AutoCloseable {

    private final MultiLayerNetwork network;
    private final Maps maps;
    /** The dense ones. */
    private final List<Block> blocks;

    private final Crew crew = Crew.ofAllThreads();
    private final Matrix parameters;
    private final Updates updates;
    private final List<Stage> stages = new ArrayList<>();
    private final Matrix[][] gradients;
    private final Matrix[] storage = new Matrix[2];
    private final Matrix[] signals;
    private final Loss loss;
    private Matrix input;
    private int rows;
    private int seed;

    private Learner(
            MultiLayerNetwork network, List<Block> all, BaseOutputLayer output, Objective objective, int capacity) {
        this.network = network;
        List<Block> convolutions = Block.convolutions(all);
        blocks = all.subList(convolutions.size(), all.size());
        parameters = Matrix.view(network.params(), crew.size);
        updates = new Updates(network, parameters, crew.size);
        maps = convolutions.isEmpty() ? null : new Maps(convolutions, parameters, capacity, crew);
        int widest = blocks.stream().mapToInt(b -> b.outputs).max().orElse(0);
        gradients = new Matrix[crew.size][2];
        allocateGradients();
        signals = new Matrix[blocks.size()];
        for (int i = 0; i < storage.length; i++) {
            storage[i] = Matrix.allocate(capacity, widest, crew.size);
        }
        for (int k = 0; k < signals.length; k++) {
            stages.add(new Stage(blocks.get(k), parameters, capacity, crew.size));
            signals[k] = storage[k % 2].as(blocks.get(k).outputs);
        }
        float factor = Objective.factor(output);
        loss = new Loss(objective, blocks.get(signals.length - 1), factor, Objective.classWeights(output), crew.size);
    }

    private void allocateGradients() {
        for (int t = 0; t < crew.size; t++) {
            int most = 1;
            for (Block b : blocks) {
                most = Math.max(most, (crew.to(t, b.outputs) - crew.from(t, b.outputs)) * b.inputs);
            }
            gradients[t][0] = Matrix.allocate(1, most, crew.size);
            gradients[t][1] = Matrix.allocate(1, most, crew.size);
        }
    }

    /**
     * Makes a learner for a network, if its layers, loss and updaters are ones that it knows.
     *
     * @param network what is to learn
     * @param capacity most rows of a batch
     * @param picture height, width and channels of its input, where it begins with a convolution
     * @return the learner, to be closed, or nothing: {@code network.fit} is to be used
     */
    public static Optional<Learner> of(MultiLayerNetwork network, int capacity, int... picture) {
        boolean plain = network.getListeners().isEmpty() && network.conf().isMiniBatch();
        Layer last = network.getLayer(network.getnLayers() - 1);
        if (!plain || last.conf().getLayer().getClass() != OutputLayer.class) {
            return Optional.empty();
        }
        int[] input = picture.length == 3 ? picture.clone() : null;
        Optional<List<Block>> blocks = Plan.of(network, 0, network.getnLayers() - 1, input);
        if (blocks.isEmpty() || !Updates.know(network)) {
            return Optional.empty();
        }
        BaseOutputLayer output = (BaseOutputLayer) last.conf().getLayer();
        List<Block> all = blocks.get();
        return Objective.of(output, all.get(all.size() - 1)).map(o -> new Learner(network, all, output, o, capacity));
    }

    /**
     * Trains on a batch.
     *
     * @param features [rows, inputs] or [rows, channels, height, width], row after row
     * @param targets [rows, outputs], row after row
     * @param chance seed of what dropout leaves out
     * @return the mean loss over the rows, as of before the step
     */
    public double fit(INDArray features, INDArray targets, long chance) {
        seed = (int) (chance ^ (chance >>> 32));
        rows = (int) features.size(0);
        input = see(features);
        loss.begin(see(targets), rows);
        updates.begin(network.getIterationCount(), network.getEpochCount());
        crew.run(this::iterate);
        double score = loss.mean() + updates.penalty();
        network.setScore(score);
        count(network.getIterationCount() + 1);
        return score;
    }

    private Matrix see(INDArray array) {
        long address = array.data().address() + array.offset() * Float.BYTES;
        return Matrix.view(address, array.length(), (int) (array.length() / array.size(0)), crew.size);
    }

    /** As Deeplearning4j counts: in the network, and in every layer. */
    private void count(int iteration) {
        network.setIterationCount(iteration);
        for (Layer layer : network.getLayers()) {
            layer.setIterationCount(iteration);
        }
    }

    private void iterate(int t) {
        int last = stages.size() - 1;
        if (maps != null) {
            maps.forward(t, input, rows);
        }
        for (int k = 0; k <= last; k++) {
            Block block = blocks.get(k);
            boolean raw = k == last;
            stages.get(k)
                    .forward(t, input(k), rows, crew.from(t, block.outputs), crew.to(t, block.outputs), raw, seed + k);
            crew.await();
        }
        loss.compute(t, stages.get(last).result(), signals[last], crew);
        for (int k = last; k >= 0; k--) {
            backward(t, k, k == last);
        }
        if (maps != null) {
            // Only after this has every thread sent its signals through the first layer's weights.
            crew.await();
        }
        step(t, 0);
        if (maps != null) {
            maps.backward(t, input, rows, updates);
        }
    }

    /** What a dense layer reads. */
    private Matrix input(int k) {
        if (k > 0) {
            return stages.get(k - 1).result();
        }
        return maps == null ? input : maps.result;
    }

    /** Where the gradient of what a dense layer reads goes; null: nobody asks for it. */
    private Matrix signal(int k) {
        if (k > 0) {
            return signals[k - 1];
        }
        return maps == null ? null : maps.signal;
    }

    private void backward(int t, int k, boolean raw) {
        Block block = blocks.get(k);
        int from = crew.from(t, block.outputs);
        int to = crew.to(t, block.outputs);
        stages.get(k).backward(t, signals[k], rows, from, to, raw, seed + k);
        Gemm.weights(t, signals[k], input(k), gradients[t][k % 2], 1f / rows, rows, from, to);
        crew.await();
        if (k < stages.size() - 1) {
            // Only now has every thread sent its signals through the weights above.
            step(t, k + 1);
        }
        Matrix before = signal(k);
        if (before != null) {
            int inputs = block.inputs;
            Gemm.backward(
                    t, signals[k], parameters, block.weights, before, rows, crew.from(t, inputs), crew.to(t, inputs));
        }
    }

    private void step(int t, int k) {
        int outputs = blocks.get(k).outputs;
        stages.get(k).step(t, updates, gradients[t][k % 2], crew.from(t, outputs), crew.to(t, outputs));
    }

    @Override
    public void close() {
        crew.close();
        stages.forEach(Stage::close);
        if (maps != null) {
            maps.close();
        }
        for (Matrix matrix : storage) {
            matrix.close();
        }
        for (Matrix[] pair : gradients) {
            pair[0].close();
            pair[1].close();
        }
    }
}
