package org.pyimgret.nn;

import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.conf.graph.L2NormalizeVertex;
import org.deeplearning4j.nn.conf.graph.LayerVertex;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.Deconvolution2D;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;

/**
 * The same graph with its pictures as (height, width, channels), which oneDNN runs twice as fast.
 *
 * <p>For inference only: the gradients of Deeplearning4j 1.0.0-M2.1 are wrong in this layout with
 * oneDNN. Weights have one layout in both, so the twin reads the very same memory.
 */
public final class ChannelsLast {

    private ChannelsLast() {}

    /**
     * Makes the twin.
     *
     * @param graph channels first
     * @return a graph that shares its weights, or null where something in it has no such twin
     */
    public static ComputationGraph twin(ComputationGraph graph) {
        ComputationGraphConfiguration configuration = graph.getConfiguration().clone();
        boolean convolutional = false;
        for (GraphVertex vertex : configuration.getVertices().values()) {
            if (!turn(vertex)) {
                return null;
            }
            convolutional |= layer(vertex) instanceof ConvolutionLayer;
        }
        if (!convolutional) {
            return null;
        }
        ComputationGraph twin = new ComputationGraph(configuration);
        twin.init(graph.params(), false);
        return twin;
    }

    private static boolean turn(GraphVertex vertex) {
        if (vertex instanceof ElementWiseVertex || vertex instanceof L2NormalizeVertex) {
            return true;
        }
        if (!(vertex instanceof LayerVertex)) {
            return false;
        }
        // NB: what flattens a map would flatten it in another order.
        return ((LayerVertex) vertex).getPreProcessor() == null && turn(layer(vertex));
    }

    private static Layer layer(GraphVertex vertex) {
        return vertex instanceof LayerVertex ? ((LayerVertex) vertex).getLayerConf().getLayer() : null;
    }

    private static boolean turn(Layer layer) {
        if (layer instanceof ConvolutionLayer && !(layer instanceof Deconvolution2D)) {
            ConvolutionLayer convolution = (ConvolutionLayer) layer;
            if (convolution.getCnn2dDataFormat() != CNN2DFormat.NCHW) {
                return false;
            }
            convolution.setCnn2dDataFormat(CNN2DFormat.NHWC);
        } else if (layer instanceof SubsamplingLayer) {
            ((SubsamplingLayer) layer).setCnn2dDataFormat(CNN2DFormat.NHWC);
        } else if (layer instanceof BatchNormalization) {
            ((BatchNormalization) layer).setCnn2DFormat(CNN2DFormat.NHWC);
        } else if (layer instanceof GlobalPoolingLayer) {
            ((GlobalPoolingLayer) layer).setPoolingDimensions(new int[] {1, 2});
        } else {
            return layer instanceof DenseLayer
                    || layer instanceof OutputLayer
                    || layer instanceof LossLayer
                    || layer instanceof ActivationLayer;
        }
        return true;
    }
}
