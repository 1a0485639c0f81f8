package org.pyimgret.nn;

import org.deeplearning4j.nn.graph.ComputationGraph;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.pyimgret.nn.engine.BlasThreads;

/** A graph with one input and one output, by Deeplearning4j's own {@code fit}, channels first. */
final class GraphPupil implements Pupil {

    private final ComputationGraph graph;

    GraphPupil(ComputationGraph graph) {
        this.graph = graph;
    }

    @Override
    public double learn(INDArray features, INDArray labels, long chance) {
        CompiledNetworks.changed(graph);
        Chance.seedNd4j(chance);
        graph.fit(new INDArray[] {features}, new INDArray[] {labels});
        return graph.score();
    }

    @Override
    public double loss(INDArray features, INDArray labels) {
        return graph.score(new DataSet(features, labels), false);
    }

    @Override
    public int blasThreads() {
        return BlasThreads.ALL;
    }

    @Override
    public void close() {
        // The graph belongs to whoever made it.
    }
}
