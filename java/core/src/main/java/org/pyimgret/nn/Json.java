package org.pyimgret.nn;

import java.util.Map;
import java.util.TreeSet;
import org.nd4j.shade.jackson.core.JsonProcessingException;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/** Settings as JSON: reading them, and saying clearly what is wrong with them. */
public final class Json {

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    /**
     * Parses a document.
     *
     * @param text JSON
     * @return its root
     */
    public static JsonNode parse(String text) {
        try {
            return MAPPER.readTree(text);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not JSON: " + e.getOriginalMessage(), e);
        }
    }

    /**
     * Writes a document.
     *
     * @param values what to write
     * @return JSON
     */
    public static String write(Map<String, ?> values) {
        try {
            return MAPPER.writeValueAsString(values);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("cannot be written as JSON", e);
        }
    }

    static JsonNode required(JsonNode node, String field) {
        JsonNode value = node.get(field);
        if (value == null || value.isNull()) {
            throw new IllegalArgumentException("the setting '" + field + "' is missing in " + node);
        }
        return value;
    }

    static boolean has(JsonNode node, String field) {
        return node.hasNonNull(field);
    }

    static <T> T choose(Map<String, T> known, String what, String name) {
        T value = known.get(name);
        if (value == null) {
            throw new IllegalArgumentException(
                    "unknown " + what + " '" + name + "'; known: " + new TreeSet<>(known.keySet()));
        }
        return value;
    }
}
