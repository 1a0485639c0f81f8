package org.pyimgret.nn;

import java.util.Optional;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.pyimgret.nn.engine.BlasThreads;
import org.pyimgret.nn.engine.Learner;

/** A stack of layers, on our own engine where it knows all of them. */
final class StackPupil implements Pupil {

    private final MultiLayerNetwork network;
    private final int rows;
    private final int[] picture;
    private final boolean stock;
    private Optional<Learner> learner;

    /**
     * Takes a network.
     *
     * @param rows most of a batch
     * @param picture height, width and channels of an input, or nothing
     * @param stock whether to keep to {@code network.fit}
     */
    StackPupil(MultiLayerNetwork network, int rows, int[] picture, boolean stock) {
        this.network = network;
        this.rows = rows;
        this.picture = picture;
        this.stock = stock;
    }

    @Override
    public double learn(INDArray features, INDArray labels, long chance) {
        CompiledNetworks.changed(network);
        Optional<Learner> own = learner();
        if (own.isPresent()) {
            return own.get().fit(features, labels, chance);
        }
        Chance.seedNd4j(chance);
        network.fit(features, labels);
        return network.score();
    }

    /** Made when it is first needed: what only judges needs no room for gradients. */
    private Optional<Learner> learner() {
        if (learner == null) {
            learner = stock ? Optional.empty() : Learner.of(network, rows, picture);
        }
        return learner;
    }

    @Override
    public int blasThreads() {
        return learner().isPresent() ? 1 : BlasThreads.ALL;
    }

    @Override
    public double loss(INDArray features, INDArray labels) {
        return network.score(new DataSet(features, labels), false);
    }

    @Override
    public void close() {
        if (learner != null) {
            learner.ifPresent(Learner::close);
        }
    }
}
