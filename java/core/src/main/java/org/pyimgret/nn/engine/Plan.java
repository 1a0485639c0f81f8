package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
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
    private Block open;

    private Plan() {}

    /**
     * Reads layers.
     *
     * @param network the network
     * @param from first layer
     * @param to last layer
     * @return its blocks, or nothing when something in it is not for this engine
     */
    static Optional<List<Block>> of(MultiLayerNetwork network, int from, int to) {
        if (network.params() == null || network.params().dataType() != DataType.FLOAT || !Matrix.whole(network.params())) {
            return Optional.empty();
        }
        Plan plan = new Plan();
        long place = 0;
        for (int l = 0; l <= to; l++) {
            Layer layer = network.getLayer(l).conf().getLayer();
            boolean fits = l < from || (plain(network, l, layer) && plan.add(layer, (int) place));
            place += network.getLayer(l).numParams();
            if (!fits || place > Integer.MAX_VALUE / Float.BYTES) {
                return Optional.empty();
            }
        }
        return plan.blocks.isEmpty() ? Optional.empty() : Optional.of(plan.blocks);
    }

    private static boolean plain(MultiLayerNetwork network, int l, Layer layer) {
        boolean alone =
                network.getLayerWiseConfigurations().getInputPreProcess(l) == null
                        && layer.getIDropout() == null
                        && (layer.getConstraints() == null || layer.getConstraints().isEmpty());
        if (!alone || !(layer instanceof BaseLayer)) {
            return alone;
        }
        BaseLayer base = (BaseLayer) layer;
        GradientNormalization clipping = base.getGradientNormalization();
        return base.getWeightNoise() == null && (clipping == null || clipping == GradientNormalization.None);
    }

    private boolean add(Layer layer, int place) {
        Class<?> kind = layer.getClass();
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

    private boolean weights(FeedForwardLayer layer, boolean hasBias, int place) {
        open = new Block((int) layer.getNIn(), (int) layer.getNOut());
        open.weights = place;
        open.bias = hasBias ? place + open.inputs * open.outputs : -1;
        blocks.add(open);
        return regularise(layer) && squash(layer.getActivationFn());
    }

    private boolean regularise(FeedForwardLayer layer) {
        if (layer.getRegularizationBias() != null && !layer.getRegularizationBias().isEmpty()) {
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
        if (open == null || open.normalised() || open.softmax || layer.isUseLogStd() || layer.isLockGammaBeta()) {
            return false;
        }
        open.normalise(layer, place);
        return true;
    }

    private boolean squash(IActivation activation) {
        if (open == null || open.last() != Squash.IDENTITY || open.softmax) {
            return false;
        }
        open.softmax = activation instanceof ActivationSoftmax;
        Squash squash = open.softmax ? Squash.IDENTITY : Squash.of(activation);
        if (squash != null) {
            open.squash(squash);
        }
        return squash != null;
    }
}
