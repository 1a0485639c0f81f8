package org.pyimgret.nn;

import org.nd4j.linalg.api.ndarray.INDArray;

/** What a {@link Trainer} trains: a network of some kind, an iteration at a time. */
interface TrainableNetwork extends AutoCloseable {

    /**
     * Trains on a batch.
     *
     * @param seed of all that is random in this iteration
     * @return the mean loss, as of before the step
     */
    double fit(INDArray features, INDArray labels, long seed);

    /** Gives the mean loss over a batch without training: no dropout, averages for normalisation. */
    double loss(INDArray features, INDArray labels);

    /** Says what trains it: {@code onednn}, or {@code dl4j} and why. */
    String engine();

    @Override
    void close();
}
