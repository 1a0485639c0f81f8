/**
 * Fast training for stacks of convolutions and dense layers, on the network's own numbers.
 *
 * <p>{@link org.pyimgret.nn.engine.Plan} reads a stock Deeplearning4j network as blocks (weights,
 * normalisation, activation, pooling); {@link org.pyimgret.nn.engine.Learner} trains them. Parameters,
 * updater state and counts stay where Deeplearning4j has them, so that everything else sees one and
 * the same network.
 */
package org.pyimgret.nn.engine;
