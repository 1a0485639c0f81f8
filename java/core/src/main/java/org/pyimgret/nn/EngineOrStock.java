package org.pyimgret.nn;

import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.ToDoubleFunction;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.TrainingNetwork;
import org.pyimgret.engine.UnsupportedLayerException;

/** A stack or a graph, on our own engine where it knows all of it, else by Deeplearning4j's {@code fit}. */
final class EngineOrStock implements TrainableNetwork {

    private final Model network;
    private final Compilation compilation;
    private final BiConsumer<INDArray, INDArray> stockFit;
    private final ToDoubleFunction<DataSet> stockScore;
    private Optional<TrainingNetwork> compiled;
    private String engine = "onednn";

    /** Compiles for training. */
    private interface Compilation {
        TrainingNetwork run() throws UnsupportedLayerException;
    }

    private EngineOrStock(
            Model network,
            Compilation compilation,
            BiConsumer<INDArray, INDArray> stockFit,
            ToDoubleFunction<DataSet> stockScore,
            boolean stock) {
        this.network = network;
        this.compilation = compilation;
        this.stockFit = stockFit;
        this.stockScore = stockScore;
        if (stock) {
            compiled = Optional.empty();
            engine = "dl4j";
        }
    }

    /**
     * Takes a stack of layers.
     *
     * @param rows most of a batch
     * @param input of the network
     * @param stock whether to keep to {@code network.fit}
     */
    static TrainableNetwork of(MultiLayerNetwork network, int rows, Shape input, boolean stock) {
        return new EngineOrStock(
                network,
                () -> TrainingNetwork.of(network, rows, input),
                network::fit,
                batch -> network.score(batch, false),
                stock);
    }

    /** Takes a graph with one input and one output, channels first. */
    static TrainableNetwork of(ComputationGraph network, int rows, Shape input, boolean stock) {
        return new EngineOrStock(
                network,
                () -> TrainingNetwork.of(network, rows, input),
                (features, labels) -> network.fit(new INDArray[] {features}, new INDArray[] {labels}),
                batch -> network.score(batch, false),
                stock);
    }

    @Override
    public double fit(INDArray features, INDArray labels, long seed) {
        CompiledNetworks.changed(network);
        Optional<TrainingNetwork> own = compiled();
        if (own.isPresent()) {
            return own.get().fit(features, labels, seed);
        }
        Seeds.seedNd4j(seed);
        stockFit.accept(features, labels);
        return network.score();
    }

    /** Made when it is first needed: what is only evaluated needs no room for gradients. */
    private Optional<TrainingNetwork> compiled() {
        if (compiled == null) {
            try {
                compiled = Optional.of(compilation.run());
            } catch (UnsupportedLayerException e) {
                compiled = Optional.empty();
                engine = "dl4j, for the engine does not know it all: " + e.getMessage();
            }
        }
        return compiled;
    }

    @Override
    public String engine() {
        compiled();
        return engine;
    }

    @Override
    public double loss(INDArray features, INDArray labels) {
        return stockScore.applyAsDouble(new DataSet(features, labels));
    }

    @Override
    public void close() {
        if (compiled != null) {
            compiled.ifPresent(TrainingNetwork::close);
        }
    }
}
