package org.pyimgret.encoder;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.function.Supplier;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.nd4j.shade.jackson.core.JsonFactory;
import org.nd4j.shade.jackson.core.JsonParser;
import org.nd4j.shade.jackson.core.JsonProcessingException;
import org.nd4j.shade.jackson.core.JsonToken;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * A network's configuration.json: checked as plain JSON before Deeplearning4j sees it.
 *
 * <p>Deeplearning4j's JSON reader makes an object of whatever class an {@code @class} field names,
 * so only its own packages of settings are let through; and it multiplies the sizes that it finds
 * without a look at overflows.
 */
final class NetworkConfiguration {

    private static final String TYPE_FIELD = "@class";
    private static final int MAX_DEPTH = 64;
    private static final int MAX_TOKENS = 4_000_000;
    private static final long MAX_SIZE = 1 << 24;
    private static final double MAX_LAYER_WEIGHTS = 1e10;

    private static final Set<String> ALLOWED_PACKAGES = Set.of(
            "org.deeplearning4j.nn.conf",
            "org.deeplearning4j.nn.conf.constraint",
            "org.deeplearning4j.nn.conf.distribution",
            "org.deeplearning4j.nn.conf.dropout",
            "org.deeplearning4j.nn.conf.graph",
            "org.deeplearning4j.nn.conf.graph.rnn",
            "org.deeplearning4j.nn.conf.inputs",
            "org.deeplearning4j.nn.conf.layers",
            "org.deeplearning4j.nn.conf.layers.convolutional",
            "org.deeplearning4j.nn.conf.layers.misc",
            "org.deeplearning4j.nn.conf.layers.objdetect",
            "org.deeplearning4j.nn.conf.layers.recurrent",
            "org.deeplearning4j.nn.conf.layers.util",
            "org.deeplearning4j.nn.conf.layers.variational",
            "org.deeplearning4j.nn.conf.ocnn",
            "org.deeplearning4j.nn.conf.preprocessor",
            "org.deeplearning4j.nn.conf.stepfunctions",
            "org.deeplearning4j.nn.conf.weightnoise",
            "org.deeplearning4j.nn.weights",
            "org.nd4j.linalg.activations.impl",
            "org.nd4j.linalg.learning.config",
            "org.nd4j.linalg.learning.regularization",
            "org.nd4j.linalg.lossfunctions.impl",
            "org.nd4j.linalg.schedule");

    // Whole numbers that are no sizes: they may be as big as they like.
    private static final Set<String> COUNTERS = Set.of("seed", "iterationCount", "epochCount");

    // What multiplies into the number of a layer's weights.
    private static final Set<String> FACTORS = Set.of(
            "nin",
            "nIn",
            "nout",
            "nOut",
            "kernelSize",
            "depthMultiplier",
            "inputSize",
            "nheads",
            "headSize",
            "capsules",
            "capsuleDimensions",
            "inputCapsules",
            "inputCapsuleDimensions");

    private final ModelArchive archive;
    private final String json;
    private final boolean graph;

    private NetworkConfiguration(ModelArchive archive, String json, boolean graph) {
        this.archive = archive;
        this.json = json;
        this.graph = graph;
    }

    /** Reads and checks the configuration of an archive; no class that it names has been loaded. */
    static NetworkConfiguration read(ModelArchive archive) throws IOException {
        byte[] bytes = archive.bytes(ModelArchive.CONFIGURATION);
        String json = new String(bytes, StandardCharsets.UTF_8);
        try {
            checkTokens(archive, json);
            JsonNode tree = new ObjectMapper().readTree(json);
            checkLayers(archive, tree);
            return new NetworkConfiguration(archive, json, tree.has("vertices"));
        } catch (JsonProcessingException e) {
            throw archive.refuse("has a configuration.json that is not JSON", e);
        }
    }

    boolean isGraph() {
        return graph;
    }

    MultiLayerConfiguration multiLayer() throws ModelFormatException {
        return parse(() -> MultiLayerConfiguration.fromJson(json));
    }

    ComputationGraphConfiguration computationGraph() throws ModelFormatException {
        return parse(() -> ComputationGraphConfiguration.fromJson(json));
    }

    private <T> T parse(Supplier<T> parser) throws ModelFormatException {
        try {
            return parser.get();
        } catch (RuntimeException | StackOverflowError e) {
            throw archive.refuse("has a configuration.json that Deeplearning4j cannot read", e);
        }
    }

    private static void checkTokens(ModelArchive archive, String json) throws IOException {
        JsonFactory factory = new JsonFactory();
        // NB: of two fields of one name, a tree has the last and a data binder may take the
        // first.
        factory.enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
        try (JsonParser parser = factory.createParser(json)) {
            int depth = 0;
            int count = 0;
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
                if (depth > MAX_DEPTH || ++count > MAX_TOKENS) {
                    throw archive.refuse("has a configuration.json of absurd depth or length");
                }
                checkToken(archive, parser, token);
            }
        }
    }

    private static void checkToken(ModelArchive archive, JsonParser parser, JsonToken token) throws IOException {
        String name = parser.getCurrentName();
        if (TYPE_FIELD.equals(name) && token != JsonToken.FIELD_NAME) {
            String value = token == JsonToken.VALUE_STRING ? parser.getText() : token.name();
            if (!isAllowedClass(value)) {
                throw archive.refuse(
                        "names the class " + shorten(value) + ", which is none of Deeplearning4j's settings");
            }
        } else if (token == JsonToken.VALUE_NUMBER_INT && !COUNTERS.contains(String.valueOf(name))) {
            if (Math.abs(parser.getDoubleValue()) > MAX_SIZE) {
                throw archive.refuse("has the absurd size " + shorten(parser.getText()) + " in " + name);
            }
        }
    }

    private static boolean isAllowedClass(String name) {
        int dot = name.lastIndexOf('.');
        return dot > 0
                && ALLOWED_PACKAGES.contains(name.substring(0, dot))
                && name.substring(dot + 1).matches("[A-Z]\\w*(\\$[A-Z]\\w*)*");
    }

    private static void checkLayers(ModelArchive archive, JsonNode node) throws ModelFormatException {
        double weights = 1;
        for (String factor : FACTORS) {
            weights *= product(archive, factor, node.path(factor));
        }
        if (weights > MAX_LAYER_WEIGHTS) {
            throw archive.refuse(String.format("has a layer of %.3g weights, which is absurd", weights));
        }
        for (JsonNode child : node) {
            checkLayers(archive, child);
        }
    }

    private static double product(ModelArchive archive, String name, JsonNode sizes) throws ModelFormatException {
        double product = 1;
        for (JsonNode size : sizes) {
            product *= product(archive, name, size);
        }
        // NB: Jackson would take "7" and 7.5 for whole numbers as well; Deeplearning4j writes
        // neither.
        if (sizes.isTextual() || sizes.isFloatingPointNumber() || sizes.isObject()) {
            throw archive.refuse("has a " + name + " that is no whole number");
        }
        return product * Math.max(1, Math.abs(sizes.asDouble()));
    }

    private static String shorten(String text) {
        return text.length() > 120 ? text.substring(0, 120) + "…" : text;
    }
}
