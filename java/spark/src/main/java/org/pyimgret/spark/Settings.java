package org.pyimgret.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.nn.Json;

/** The settings of a job, read from its JSON document. */
final class Settings {

    private Settings() {}

    /** The document itself, or the file of that name. */
    static JsonNode read(String[] arguments) throws IOException {
        if (arguments.length != 1) {
            throw new IllegalArgumentException("expected one argument: a JSON document, or its file");
        }
        String text = arguments[0].trim();
        return Json.parse(text.startsWith("{") ? text : Files.readString(Path.of(text)));
    }

    static JsonNode required(JsonNode node, String field) {
        JsonNode value = node.get(field);
        if (value == null || value.isNull()) {
            throw new IllegalArgumentException("the setting '" + field + "' is missing");
        }
        return value;
    }

    static String text(JsonNode node, String field, String otherwise) {
        return node.hasNonNull(field) ? node.get(field).asText() : otherwise;
    }

    /** A whole number of at least 1. */
    static int positive(JsonNode node, String field, int otherwise) {
        int value = node.hasNonNull(field) ? node.get(field).asInt() : otherwise;
        if (value < 1) {
            throw new IllegalArgumentException(field + " must be at least 1, got " + value);
        }
        return value;
    }

    /** A row of little-endian float32, exactly so many. */
    static INDArray floats(Path file, long count) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.remaining() != count * Float.BYTES) {
            throw new IOException(file + " holds " + bytes.remaining() / Float.BYTES + " numbers, expected " + count);
        }
        float[] values = new float[(int) count];
        bytes.asFloatBuffer().get(values);
        return Nd4j.createFromArray(values).reshape(1, count);
    }
}
