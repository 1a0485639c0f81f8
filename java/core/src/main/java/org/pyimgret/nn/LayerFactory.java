package org.pyimgret.nn;

import java.util.Map;
import java.util.function.Function;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.Deconvolution2D;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.conf.layers.Upsampling2D;
import org.deeplearning4j.nn.conf.layers.recurrent.LastTimeStep;
import org.deeplearning4j.nn.weights.WeightInit;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.shade.jackson.databind.JsonNode;

/** One layer's settings to one stock Deeplearning4j layer configuration. */
final class LayerFactory {

    private static final Map<String, Function<JsonNode, Layer>> KNOWN = Map.ofEntries(
            Map.entry("Dense", LayerFactory::dense),
            Map.entry("Convolution2D", LayerFactory::convolution),
            Map.entry("Deconvolution2D", LayerFactory::deconvolution),
            Map.entry("DepthwiseConvolution2D", LayerFactory::depthwise),
            Map.entry("Pooling2D", LayerFactory::pooling),
            Map.entry("Upsampling2D", s -> named(new Upsampling2D.Builder(integer(s, "size", 2)), s)
                    .build()),
            Map.entry("GlobalPooling", LayerFactory::globalPooling),
            Map.entry("BatchNormalization", LayerFactory::batchNormalization),
            Map.entry("Activation", s -> named(new ActivationLayer.Builder(), s)
                    .activation(activation(s))
                    .build()),
            Map.entry("Dropout", s -> named(new DropoutLayer.Builder(1 - number(s, "rate", 0.5)), s)
                    .build()),
            Map.entry("LSTM", LayerFactory::lstm),
            Map.entry("Output", LayerFactory::output),
            Map.entry("Loss", LayerFactory::loss),
            Map.entry("ConvolutionLoss", s -> named(new CnnLossLayer.Builder(lossFunction(s)), s)
                    .activation(activation(s))
                    .build()));

    private static final Map<String, LossFunction> LOSSES = Map.of(
            "mean_squared_error", LossFunction.MSE,
            "mean_absolute_error", LossFunction.MEAN_ABSOLUTE_ERROR,
            "squared_error", LossFunction.L2,
            "binary_cross_entropy", LossFunction.XENT,
            "categorical_cross_entropy", LossFunction.MCXENT,
            "sparse_categorical_cross_entropy", LossFunction.SPARSE_MCXENT,
            "cosine_proximity", LossFunction.COSINE_PROXIMITY,
            "poisson", LossFunction.POISSON,
            "hinge", LossFunction.HINGE,
            "kullback_leibler", LossFunction.KL_DIVERGENCE);

    private LayerFactory() {}

    static Layer create(JsonNode settings) {
        String type = Json.required(settings, "type").asText();
        return Json.choose(KNOWN, "layer", type).apply(settings);
    }

    private static Layer dense(JsonNode s) {
        return weighted(new DenseLayer.Builder().nOut(units(s)).hasBias(flag(s, "bias", true)), s)
                .build();
    }

    private static Layer convolution(JsonNode s) {
        return weighted(
                        new ConvolutionLayer.Builder(
                                        pair(s, "kernel_size", 3), pair(s, "stride", 1), pair(s, "padding", 0))
                                .nOut(units(s))
                                .hasBias(flag(s, "bias", true))
                                .convolutionMode(mode(s)),
                        s)
                .build();
    }

    private static Layer deconvolution(JsonNode s) {
        return weighted(
                        new Deconvolution2D.Builder(
                                        pair(s, "kernel_size", 2), pair(s, "stride", 2), pair(s, "padding", 0))
                                .nOut(units(s))
                                .hasBias(flag(s, "bias", true))
                                .convolutionMode(mode(s)),
                        s)
                .build();
    }

    private static Layer depthwise(JsonNode s) {
        return weighted(
                        new DepthwiseConvolution2D.Builder(
                                        pair(s, "kernel_size", 3), pair(s, "stride", 1), pair(s, "padding", 0))
                                .depthMultiplier(integer(s, "multiplier", 1))
                                .hasBias(flag(s, "bias", true))
                                .convolutionMode(mode(s)),
                        s)
                .build();
    }

    private static Layer pooling(JsonNode s) {
        return named(
                        new SubsamplingLayer.Builder(
                                        poolingType(s),
                                        pair(s, "kernel_size", 2),
                                        pair(s, "stride", 2),
                                        pair(s, "padding", 0))
                                .convolutionMode(mode(s)),
                        s)
                .build();
    }

    private static Layer globalPooling(JsonNode s) {
        return named(
                        new GlobalPoolingLayer.Builder(
                                PoolingType.valueOf(text(s, "pooling", "avg").toUpperCase())),
                        s)
                .pnorm(integer(s, "power", 2))
                .build();
    }

    private static Layer batchNormalization(JsonNode s) {
        BatchNormalization.Builder b = named(new BatchNormalization.Builder(), s)
                .decay(number(s, "decay", 0.9))
                .eps(number(s, "epsilon", 1e-5))
                .useLogStd(false)
                .lockGammaBeta(flag(s, "lock_gamma_beta", false));
        return b.build();
    }

    private static Layer lstm(JsonNode s) {
        Layer layer = weighted(new LSTM.Builder().nOut(units(s)), s).build();
        return flag(s, "return_sequences", false) ? layer : new LastTimeStep(layer);
    }

    private static Layer output(JsonNode s) {
        OutputLayer.Builder b = weighted(new OutputLayer.Builder(lossFunction(s)).nOut(units(s)), s);
        if (Json.has(s, "class_weights")) {
            b.lossFunction(new LossMCXENT(Nd4j.createFromArray(numbers(s.get("class_weights")))));
        }
        if (flag(s, "frozen", false)) {
            b.updater(new Sgd(0));
        }
        return b.hasBias(flag(s, "bias", true)).build();
    }

    private static float[] numbers(JsonNode values) {
        float[] numbers = new float[values.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (float) values.get(i).asDouble();
        }
        return numbers;
    }

    private static Layer loss(JsonNode s) {
        return named(new LossLayer.Builder(lossFunction(s)), s)
                .activation(activation(s))
                .build();
    }

    private static <T extends BaseLayer.Builder<T>> T weighted(T builder, JsonNode s) {
        named(builder, s).activation(activation(s));
        if (Json.has(s, "weight_init")) {
            builder.weightInit(enumValue(
                    WeightInit.class,
                    "weight initialisation",
                    s.get("weight_init").asText()));
        }
        if (Json.has(s, "l1")) {
            builder.l1(s.get("l1").asDouble());
        }
        if (Json.has(s, "l2")) {
            builder.l2(s.get("l2").asDouble());
        }
        if (Json.has(s, "bias_init")) {
            builder.biasInit(s.get("bias_init").asDouble());
        }
        return builder;
    }

    private static <T extends Layer.Builder<T>> T named(T builder, JsonNode s) {
        builder.name(name(s));
        if (Json.has(s, "dropout") && s.get("dropout").asDouble() > 0) {
            // NB: Deeplearning4j's number is the part that is kept.
            builder.dropOut(new Dropout(1 - s.get("dropout").asDouble()));
        }
        return builder;
    }

    private static Activation activation(JsonNode s) {
        return enumValue(Activation.class, "activation", text(s, "activation", "identity"));
    }

    private static LossFunction lossFunction(JsonNode s) {
        return Json.choose(LOSSES, "loss", text(s, "loss", "mean_squared_error"));
    }

    private static ConvolutionMode mode(JsonNode s) {
        return enumValue(ConvolutionMode.class, "convolution mode", text(s, "mode", "truncate"));
    }

    private static SubsamplingLayer.PoolingType poolingType(JsonNode s) {
        return enumValue(SubsamplingLayer.PoolingType.class, "pooling", text(s, "pooling", "max"));
    }

    private static <E extends Enum<E>> E enumValue(Class<E> type, String what, String name) {
        for (E value : type.getEnumConstants()) {
            if (value.name().equalsIgnoreCase(name)) {
                return value;
            }
        }
        throw new IllegalArgumentException("unknown " + what + " '" + name + "'; known: "
                + java.util.Arrays.toString(type.getEnumConstants()).toLowerCase());
    }

    private static String name(JsonNode s) {
        return text(s, "name", null);
    }

    private static int units(JsonNode s) {
        int n = Json.required(s, "n_out").asInt();
        if (n < 1) {
            throw new IllegalArgumentException("n_out must be at least 1, got " + n);
        }
        return n;
    }

    private static int[] pair(JsonNode s, String field, int otherwise) {
        JsonNode node = s.get(field);
        if (node == null || node.isNull()) {
            return new int[] {otherwise, otherwise};
        }
        return node.isArray()
                ? new int[] {node.get(0).asInt(), node.get(1).asInt()}
                : new int[] {node.asInt(), node.asInt()};
    }

    private static String text(JsonNode s, String field, String otherwise) {
        return Json.has(s, field) ? s.get(field).asText() : otherwise;
    }

    private static double number(JsonNode s, String field, double otherwise) {
        return Json.has(s, field) ? s.get(field).asDouble() : otherwise;
    }

    private static int integer(JsonNode s, String field, int otherwise) {
        return Json.has(s, field) ? s.get(field).asInt() : otherwise;
    }

    private static boolean flag(JsonNode s, String field, boolean otherwise) {
        return Json.has(s, field) ? s.get(field).asBoolean() : otherwise;
    }
}
