package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.dropout.IDropout;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.conf.preprocessor.CnnToFeedForwardPreProcessor;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.regularization.L1Regularization;
import org.nd4j.linalg.learning.regularization.L2Regularization;
import org.nd4j.linalg.learning.regularization.Regularization;

/** A network's layers, or some of them, read as blocks; nothing where a layer is of another kind. */
final class Plan {

    private final List<Block> blocks = new ArrayList<>();
    /** The (height, width, channels) that a convolution would get, or null: there are no pictures. */
    private int[] picture;

    private Block open;

    private Plan(int[] picture) {
        this.picture = picture;
    }

    /**
     * Reads layers.
     *
     * @param network the network
     * @param from first layer
     * @param to last layer
     * @param picture height, width, channels of what layer {@code from} gets, or null: it is a vector
     * @return its blocks, or nothing when something in it is not for this engine
     */
    static Optional<List<Block>> of(MultiLayerNetwork network, int from, int to, int[] picture) {
        if (network.params() == null
                || network.params().dataType() != DataType.FLOAT
                || !Matrix.whole(network.params())) {
            return Optional.empty();
        }
        Plan plan = new Plan(picture);
        long place = 0;
        for (int l = 0; l <= to; l++) {
            Layer layer = network.getLayer(l).conf().getLayer();
            boolean fits = l < from || (plain(layer) && plan.fits(network, l, layer) && plan.add(layer, (int) place));
            place += network.getLayer(l).numParams();
            if (!fits || place > Integer.MAX_VALUE / Float.BYTES) {
                return Optional.empty();
            }
        }
        return plan.blocks.isEmpty() ? Optional.empty() : Optional.of(plan.blocks);
    }

    private static boolean plain(Layer layer) {
        boolean alone = layer.getConstraints() == null || layer.getConstraints().isEmpty();
        if (!alone || !(layer instanceof BaseLayer)) {
            return alone;
        }
        BaseLayer base = (BaseLayer) layer;
        GradientNormalization clipping = base.getGradientNormalization();
        return base.getWeightNoise() == null && (clipping == null || clipping == GradientNormalization.None);
    }

    /** Whether what comes before a layer's mathematics is nothing, dropout, or the way from pictures to rows. */
    private boolean fits(MultiLayerNetwork network, int l, Layer layer) {
        InputPreProcessor change = network.getLayerWiseConfigurations().getInputPreProcess(l);
        boolean dense = layer.getClass() == DenseLayer.class || layer.getClass() == OutputLayer.class;
        boolean flattens = dense && picture != null && change instanceof CnnToFeedForwardPreProcessor;
        return (change == null || flattens) && drop(layer.getIDropout());
    }

    private boolean drop(IDropout dropout) {
        if (dropout == null) {
            return true;
        }
        boolean plain = dropout instanceof Dropout && ((Dropout) dropout).getPSchedule() == null;
        if (!plain || open == null || open.complete() || open.windows != null) {
            return false;
        }
        open.kept = (float) ((Dropout) dropout).getP();
        return true;
    }

    private boolean add(Layer layer, int place) {
        Class<?> kind = layer.getClass();
        if (kind == ConvolutionLayer.class) {
            return convolve((ConvolutionLayer) layer, place);
        }
        if (kind == SubsamplingLayer.class) {
            return pool((SubsamplingLayer) layer);
        }
        if (kind == DropoutLayer.class) {
            return true;
        }
        if (kind == DenseLayer.class) {
            DenseLayer dense = (DenseLayer) layer;
            return !dense.hasLayerNorm() && weights(dense, dense.hasBias(), place);
        }
        if (kind == OutputLayer.class) {
            return weights((OutputLayer) layer, ((BaseOutputLayer) layer).hasBias(), place);
        }
        if (kind == BatchNormalization.class) {
            return normalise((BatchNormalization) layer, place);
        }
        return kind == ActivationLayer.class && squash(((ActivationLayer) layer).getActivationFn());
    }

    private boolean convolve(ConvolutionLayer layer, int place) {
        Windows windows = picture == null ? null : Windows.of(layer, picture);
        if (windows == null) {
            return false;
        }
        boolean first = open == null;
        open = new Block(windows.size(), (int) layer.getNOut());
        open.windows = windows;
        open.planes = first;
        open.bias = layer.hasBias() ? place : -1;
        // NB: Deeplearning4j keeps a convolution's bias before its weights.
        open.weights = layer.hasBias() ? place + open.outputs : place;
        blocks.add(open);
        picture = open.picture();
        return regularise(layer) && squash(layer.getActivationFn());
    }

    private boolean pool(SubsamplingLayer layer) {
        if (open == null || open.windows == null || open.complete()) {
            return false;
        }
        open.pooling = Pooling.of(layer, picture);
        picture = open.picture();
        return open.pooling != null;
    }

    private boolean weights(FeedForwardLayer layer, boolean hasBias, int place) {
        if (open == null && picture != null) {
            return false;
        }
        picture = null;
        open = new Block((int) layer.getNIn(), (int) layer.getNOut());
        open.weights = place;
        open.bias = hasBias ? place + open.inputs * open.outputs : -1;
        blocks.add(open);
        return regularise(layer) && squash(layer.getActivationFn());
    }

    private boolean regularise(FeedForwardLayer layer) {
        if (layer.getRegularizationBias() != null
                && !layer.getRegularizationBias().isEmpty()) {
            return false;
        }
        for (Regularization r : layer.getRegularization()) {
            if (r instanceof L2Regularization) {
                open.l2 = ((L2Regularization) r).getL2().valueAt(0, 0);
            } else if (r instanceof L1Regularization) {
                open.l1 = ((L1Regularization) r).getL1().valueAt(0, 0);
            } else {
                return false;
            }
        }
        return true;
    }

    private boolean normalise(BatchNormalization layer, int place) {
        if (open == null || open.normalised() || open.complete() || layer.isUseLogStd() || layer.isLockGammaBeta()) {
            return false;
        }
        open.normalise(layer, place);
        return true;
    }

    private boolean squash(IActivation activation) {
        if (open == null || open.last() != Squash.IDENTITY || open.complete()) {
            return false;
        }
        open.softmax = activation instanceof ActivationSoftmax && open.windows == null;
        Squash squash = open.softmax ? Squash.IDENTITY : Squash.of(activation);
        if (squash != null) {
            open.squash(squash);
        }
        return squash != null;
    }
}
