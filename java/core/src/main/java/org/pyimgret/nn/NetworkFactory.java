package org.pyimgret.nn;

import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.shade.jackson.databind.JsonNode;

/**
 * Settings to a network of stock Deeplearning4j layers.
 *
 * <p>The settings are one JSON object: {@code seed}, {@code updater} ({@code type}, {@code
 * learning_rate}, optionally {@code schedule}: iteration to learning rate), {@code input} ({@code
 * kind} dense with {@code size}, convolutional with {@code height, width, channels}, or recurrent
 * with {@code size, steps}) and {@code layers}, a list of objects with a {@code type}.
 */
public final class NetworkFactory {

    private NetworkFactory() {}

    /**
     * Makes an initialised network.
     *
     * @param settings see above
     * @return the network, its weights drawn from the seed
     */
    public static MultiLayerNetwork create(JsonNode settings) {
        MultiLayerConfiguration configuration = configure(settings);
        // NB: ND4J's generator belongs to the thread; the weights are drawn on this one.
        Seeds.seedNd4j(Json.required(settings, "seed").asLong());
        MultiLayerNetwork network = new MultiLayerNetwork(configuration);
        network.init();
        return network;
    }

    /**
     * Makes the configuration only.
     *
     * @param settings see above
     * @return a configuration that names stock classes only
     */
    public static MultiLayerConfiguration configure(JsonNode settings) {
        NeuralNetConfiguration.Builder common = new NeuralNetConfiguration.Builder()
                .seed(Seeds.forNd4j(Json.required(settings, "seed").asLong()))
                .dataType(DataType.FLOAT)
                .updater(Updaters.create(Json.required(settings, "updater")));
        NeuralNetConfiguration.ListBuilder list = common.list();
        for (JsonNode layer : Json.required(settings, "layers")) {
            list.layer(LayerFactory.create(layer));
        }
        return list.setInputType(inputType(Json.required(settings, "input"))).build();
    }

    static InputType inputType(JsonNode input) {
        String kind = Json.required(input, "kind").asText();
        switch (kind) {
            case "dense":
                return InputType.feedForward(Json.required(input, "size").asLong());
            case "convolutional":
                return InputType.convolutional(
                        Json.required(input, "height").asLong(),
                        Json.required(input, "width").asLong(),
                        Json.required(input, "channels").asLong());
            case "recurrent":
                return InputType.recurrent(
                        Json.required(input, "size").asLong(),
                        Json.required(input, "steps").asLong());
            default:
                throw new IllegalArgumentException(
                        "unknown input '" + kind + "'; known: [convolutional, dense, recurrent]");
        }
    }
}
