package org.pyimgret.encoder;

import java.util.Locale;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.nd4j.shade.jackson.core.JsonProcessingException;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;
import org.pyimgret.engine.Shape;

/** What pyimgret.json says of a model, as far as an encoder needs it. */
final class ModelDescription {

    private static final int FORMAT = 1;
    private static final long MAX_VALUES = 1 << 28;

    /** How an image is arranged in a network's input; the names are those in pyimgret.json. */
    enum Layout {
        DENSE,
        CONVOLUTIONAL,
        RECURRENT
    }

    final JsonNode codeLayer;
    final Layout layout;
    final int height;
    final int width;
    final int channels;
    final int embeddingSize;
    final boolean withMirrorImage;

    /** Null for a model that was trained on vectors. */
    final ImagePreprocessor preprocessor;

    private ModelDescription(JsonNode json) throws ModelFormatException {
        checkVersion(json);
        codeLayer = json.path("code_layer");
        JsonNode input = json.path("input");
        layout = layout(input.path("kind").asText());
        height = size(input, "height");
        width = size(input, "width");
        channels = size(input, "channels");
        embeddingSize = size(json, "embedding_size");
        // NB: kinds that are trained on mirrored images have a "flip" too; they encode without.
        withMirrorImage = json.path("kind").asText().equals("PretrainedNetwork")
                && json.path("parameters").path("flip").asBoolean(false);
        if ((double) height * width * channels > MAX_VALUES) {
            throw new ModelFormatException("pyimgret.json says an absurd input: " + input);
        }
        if (!json.path("normalisation").asText().equals("l2")) {
            throw new ModelFormatException("pyimgret.json says the normalisation "
                    + json.get("normalisation")
                    + "; this version of pyimgret-core knows l2.");
        }
        preprocessor = preprocessor(json.path("preprocessing"));
    }

    static ModelDescription parse(String metadata) throws ModelFormatException {
        if (metadata == null) {
            throw new ModelFormatException(
                    "the zip has no pyimgret.json: plain Deeplearning4j wrote it, and it does not"
                            + " say how an image becomes its input. Load it in Python with"
                            + " pyimgret.load(path, code_layer=…, preprocessing=…) and save it.");
        }
        try {
            return new ModelDescription(new ObjectMapper().readTree(metadata));
        } catch (JsonProcessingException e) {
            throw new ModelFormatException("pyimgret.json is not JSON: " + e.getMessage(), e);
        }
    }

    private static void checkVersion(JsonNode json) throws ModelFormatException {
        JsonNode format = json.path("format");
        if (!format.isInt()) {
            throw new ModelFormatException("pyimgret.json does not say its format version.");
        }
        if (format.intValue() > FORMAT) {
            String library = json.path("library").asText("a newer pyimgret");
            throw new ModelFormatException("the model has format version " + format + ", written by " + library
                    + "; this version of pyimgret-core reads up to " + FORMAT + ". Use a newer one.");
        }
    }

    private static Layout layout(String kind) throws ModelFormatException {
        for (Layout layout : Layout.values()) {
            if (layout.name().toLowerCase(Locale.ROOT).equals(kind)) {
                return layout;
            }
        }
        throw new ModelFormatException("pyimgret.json says the unknown input '" + kind + "'.");
    }

    private static int size(JsonNode json, String name) throws ModelFormatException {
        JsonNode value = json.path(name);
        if (!value.isInt() || value.intValue() < 1) {
            throw new ModelFormatException("pyimgret.json says " + value + " for " + name + ".");
        }
        return value.intValue();
    }

    private ImagePreprocessor preprocessor(JsonNode json) throws ModelFormatException {
        if (json.isNull() || json.isMissingNode()) {
            return null;
        }
        ImagePreprocessor found = ImagePreprocessor.of(json);
        boolean fits = found.height() == height && found.width() == width && found.channels() == channels;
        if (!fits) {
            throw new ModelFormatException("pyimgret.json says another size for the input than for the preprocessing.");
        }
        return found;
    }

    /** The number of values of an input. */
    int inputSize() {
        return height * width * channels;
    }

    /** The shape of an input as the engine sees it, which does not know sequences. */
    Shape engineShape() {
        return layout == Layout.CONVOLUTIONAL ? Shape.maps(height, width, channels) : Shape.vector(inputSize());
    }

    InputType inputType() {
        switch (layout) {
            case CONVOLUTIONAL:
                return InputType.convolutional(height, width, channels);
            case RECURRENT:
                return InputType.recurrent((long) width * channels, height);
            default:
                return InputType.feedForward(inputSize());
        }
    }
}
