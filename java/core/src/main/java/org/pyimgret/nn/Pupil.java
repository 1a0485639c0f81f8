package org.pyimgret.nn;

import org.nd4j.linalg.api.ndarray.INDArray;

/** What a {@link Trainer} teaches: a network of some kind, an iteration at a time. */
interface Pupil extends AutoCloseable {

    /**
     * Learns from a batch.
     *
     * @param chance the seed of all that is random in this iteration
     * @return the mean loss, as of before the step
     */
    double learn(INDArray features, INDArray labels, long chance);

    /** Gives the mean loss over a batch without learning: no dropout, averages for normalisation. */
    double loss(INDArray features, INDArray labels);

    /** Says how many threads BLAS may take in an epoch; fewer where the pupil has threads of its own. */
    int blasThreads();

    @Override
    void close();
}
