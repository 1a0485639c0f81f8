package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_abs;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_pow;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.dropout.IDropout;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.LocalResponseNormalization;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Reads one layer of a Deeplearning4j network, as it runs when it does not learn, or when it does. */
final class LayerReader {

    private static final int[] NO_DILATION = {1, 1};

    private final org.deeplearning4j.nn.api.Layer runtime;
    private final Layer layer;
    private final String name;
    private final boolean training;

    /**
     * Prepares reading.
     *
     * @param training whether the layer is to learn: dropout is read, and a last activation that is
     *     part of the loss is not
     */
    LayerReader(org.deeplearning4j.nn.api.Layer runtime, String name, boolean training) {
        this.runtime = runtime;
        this.training = training;
        this.layer = unwrapped(runtime.conf().getLayer());
        this.name = layer.getLayerName() == null ? name : layer.getLayerName();
    }

    private static Layer unwrapped(Layer layer) {
        return layer instanceof org.deeplearning4j.nn.conf.layers.misc.FrozenLayer
                ? ((org.deeplearning4j.nn.conf.layers.misc.FrozenLayer) layer).getLayer()
                : layer;
    }

    String name() {
        return name;
    }

    /** Appends the layer to what it gets. */
    Node read(Node input) throws UnsupportedLayerException {
        if (!training) {
            return readLayer(input);
        }
        checkTrainable();
        IDropout dropout = layer.getIDropout();
        check(
                dropout == null || dropout instanceof Dropout && ((Dropout) dropout).getPSchedule() == null,
                "training with " + dropout);
        return readLayer(dropout == null ? input : node(new Operation.Dropout(((Dropout) dropout).getP()), input));
    }

    /** NB: what changes gradients or parameters in its own way is left to Deeplearning4j. */
    private void checkTrainable() throws UnsupportedLayerException {
        check(runtime.conf().getLayer() == layer, "training of a frozen layer");
        check(layer.getConstraints() == null || layer.getConstraints().isEmpty(), "training with constraints");
        if (layer instanceof BaseLayer) {
            BaseLayer base = (BaseLayer) layer;
            GradientNormalization clipping = base.getGradientNormalization();
            check(clipping == null || clipping == GradientNormalization.None, "training with clipped gradients");
            check(base.getWeightNoise() == null, "training with noise in the weights");
        }
        if (layer instanceof BatchNormalization) {
            BatchNormalization normalization = (BatchNormalization) layer;
            check(!normalization.isUseLogStd(), "training of batch normalisation by logarithms");
            check(!normalization.isLockGammaBeta(), "training of a locked batch normalisation");
        }
    }

    private Node readLayer(Node input) throws UnsupportedLayerException {
        Class<?> kind = layer.getClass();
        if (kind == ConvolutionLayer.class || kind == DepthwiseConvolution2D.class) {
            return convolution((ConvolutionLayer) layer, input);
        }
        if (kind == DenseLayer.class) {
            check(!((DenseLayer) layer).hasLayerNorm(), "layer normalisation");
            return dense(((DenseLayer) layer).hasBias(), input);
        }
        if (kind == OutputLayer.class) {
            return dense(((BaseOutputLayer) layer).hasBias(), input);
        }
        if (kind == SubsamplingLayer.class) {
            return pooling((SubsamplingLayer) layer, input);
        }
        if (kind == GlobalPoolingLayer.class) {
            return globalPooling((GlobalPoolingLayer) layer, input);
        }
        if (kind == BatchNormalization.class) {
            return normalization((BatchNormalization) layer, input);
        }
        if (kind == LocalResponseNormalization.class) {
            return responseNormalization((LocalResponseNormalization) layer, input);
        }
        if (kind == ActivationLayer.class) {
            return activation(((ActivationLayer) layer).getActivationFn(), input);
        }
        if (kind == LossLayer.class) {
            return activation(((LossLayer) layer).getActivationFn(), input);
        }
        if (kind == CnnLossLayer.class) {
            return activation(((CnnLossLayer) layer).getActivationFn(), input);
        }
        check(kind == DropoutLayer.class, "a " + kind.getSimpleName());
        return input;
    }

    private Node convolution(ConvolutionLayer convolution, Node input) throws UnsupportedLayerException {
        check(convolution.getCnn2dDataFormat() == CNN2DFormat.NCHW, "channels last");
        check(convolution.getConvolutionMode() != ConvolutionMode.Causal, "causal convolution");
        Window window = new Window(
                convolution.getKernelSize(),
                convolution.getStride(),
                convolution.getPadding(),
                convolution.getDilation(),
                convolution.getConvolutionMode() == ConvolutionMode.Same);
        boolean depthwise = convolution instanceof DepthwiseConvolution2D;
        INDArray weights = parameter("W");
        // NB: a depthwise layer keeps (row, column, channel, multiple).
        float[] plain = numbers(depthwise ? weights.permute(2, 3, 0, 1) : weights);
        int outputs = (int) (depthwise ? weights.size(2) * weights.size(3) : weights.size(0));
        int groups = depthwise ? (int) weights.size(2) : 1;
        float[] bias = convolution.hasBias() ? numbers(parameter("b")) : new float[outputs];
        Operation operation = new Operation.Convolution(window, groups, outputs, plain, bias, null);
        return activation(convolution.getActivationFn(), node(operation, input));
    }

    private Node dense(boolean hasBias, Node input) throws UnsupportedLayerException {
        INDArray weights = parameter("W");
        int outputs = (int) weights.size(1);
        float[] bias = hasBias ? numbers(parameter("b")) : new float[outputs];
        Operation operation = new Operation.InnerProduct(outputs, numbers(weights.transpose()), bias);
        check(input.shape.vector, "feature maps of " + input.shape);
        return activation(((BaseLayer) layer).getActivationFn(), node(operation, input));
    }

    private Node pooling(SubsamplingLayer pooling, Node input) throws UnsupportedLayerException {
        check(pooling.getCnn2dDataFormat() == CNN2DFormat.NCHW, "channels last");
        check(Arrays.equals(pooling.getDilation(), NO_DILATION), "dilated pooling");
        boolean max = pooling.getPoolingType() == org.deeplearning4j.nn.conf.layers.PoolingType.MAX;
        check(max || pooling.getPoolingType() == PoolingType.AVG, pooling.getPoolingType() + " pooling");
        Window window = new Window(
                pooling.getKernelSize(),
                pooling.getStride(),
                pooling.getPadding(),
                NO_DILATION,
                pooling.getConvolutionMode() == ConvolutionMode.Same);
        Operation.Pooling.Kind average = pooling.isAvgPoolIncludePadInDivisor()
                ? Operation.Pooling.Kind.AVERAGE_WITH_PADDING
                : Operation.Pooling.Kind.AVERAGE;
        return node(new Operation.Pooling(max ? Operation.Pooling.Kind.MAX : average, window), input);
    }

    private Node globalPooling(GlobalPoolingLayer pooling, Node input) throws UnsupportedLayerException {
        check(!input.shape.vector && pooling.isCollapseDimensions(), "an input of " + input.shape);
        int[] dimensions = pooling.getPoolingDimensions();
        boolean maps = dimensions == null || Arrays.equals(dimensions, new int[] {2, 3});
        check(maps, "pooling of dimensions " + Arrays.toString(dimensions));
        int pixels = input.shape.pixels();
        switch (pooling.getPoolingType()) {
            case MAX:
                return node(new Operation.GlobalPooling(true), input);
            case AVG:
                return node(new Operation.GlobalPooling(false), input);
            case SUM:
                return scaledMean(input, pixels, 1);
            default:
                // The p-norm: the root of the sum of powers.
                double power = pooling.getPnorm();
                Node absolute = node(new Operation.Activation(dnnl_eltwise_abs, 0, 0), input);
                Node powers = node(new Operation.Activation(dnnl_eltwise_pow, 1, (float) power), absolute);
                return scaledMean(powers, Math.pow(pixels, 1 / power), 1 / power);
        }
    }

    private Node scaledMean(Node input, double factor, double power) throws UnsupportedLayerException {
        Node mean = node(new Operation.GlobalPooling(false), input);
        return node(new Operation.Activation(dnnl_eltwise_pow, (float) factor, (float) power), mean);
    }

    private Node normalization(BatchNormalization normalization, Node input) throws UnsupportedLayerException {
        check(normalization.getCnn2DFormat() == CNN2DFormat.NCHW, "channels last");
        float[] mean = numbers(parameter("mean"));
        boolean logarithm = normalization.isUseLogStd();
        float[] spread = numbers(parameter(logarithm ? "log10stdev" : "var"));
        boolean locked = normalization.isLockGammaBeta();
        float[] gamma = locked ? null : numbers(parameter("gamma"));
        float[] beta = locked ? null : numbers(parameter("beta"));
        float[] scale = new float[mean.length];
        float[] shift = new float[mean.length];
        for (int c = 0; c < mean.length; c++) {
            double variance = logarithm ? Math.pow(10, 2.0 * spread[c]) : spread[c];
            double factor =
                    (locked ? normalization.getGamma() : gamma[c]) / Math.sqrt(variance + normalization.getEps());
            scale[c] = (float) factor;
            shift[c] = (float) ((locked ? normalization.getBeta() : beta[c]) - mean[c] * factor);
        }
        return node(new Operation.Normalization(scale, shift), input);
    }

    private Node responseNormalization(LocalResponseNormalization layer, Node input) throws UnsupportedLayerException {
        // NB: Deeplearning4j takes n as the reach to both sides.
        int size = 2 * (int) (layer.getN() / 2) + 1;
        return node(
                new Operation.LocalResponseNormalization(
                        size, (float) layer.getAlpha(), (float) layer.getBeta(), (float) layer.getK()),
                input);
    }

    private Node activation(IActivation function, Node input) throws UnsupportedLayerException {
        if (training && Loss.includes(function, layer)) {
            return input;
        }
        if (function instanceof ActivationSoftmax) {
            check(input.shape.vector, "softmax of feature maps");
            return node(new Operation.Softmax(), input);
        }
        Operation.Activation activation = Activations.of(function);
        if (activation == Activations.IDENTITY) {
            return input;
        }
        check(activation != null, "the activation " + function);
        return node(activation, input);
    }

    private Node node(Operation operation, Node input) throws UnsupportedLayerException {
        return NetworkReader.node(name, operation, List.of(input)).of(runtime);
    }

    private void check(boolean supported, String what) throws UnsupportedLayerException {
        if (!supported) {
            throw new UnsupportedLayerException(name, what + " is not supported");
        }
    }

    private INDArray parameter(String key) throws UnsupportedLayerException {
        INDArray parameter = runtime.getParam(key);
        check(parameter != null && parameter.dataType() == DataType.FLOAT, "a type other than float");
        return parameter;
    }

    /** Copies an array's numbers in C order. */
    private static float[] numbers(INDArray array) {
        float[] numbers = new float[Math.toIntExact(array.length())];
        try (INDArray copy = array.dup('c')) {
            // NB: asFloat() takes number by number through several calls each.
            new FloatPointer(copy.data().addressPointer()).get(numbers);
        }
        return numbers;
    }
}
