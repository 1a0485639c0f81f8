package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Iterator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/** The tensors that Python wrote down (tests/golden), bit for bit. */
final class GoldenTensorsTest {

    private static final Path GOLDEN = Path.of("..", "..", "tests", "golden");

    private static Iterator<String> names() throws IOException {
        return file().get("preprocessing").fieldNames();
    }

    @ParameterizedTest
    @MethodSource("names")
    void tensorsEqualPythons(String name) throws IOException {
        JsonNode golden = file();
        ImagePreprocessor preprocessor =
                ImagePreprocessor.of(golden.get("preprocessing").get(name));
        JsonNode images = golden.get("tensors");
        assertTrue(images.size() >= 30);
        for (Iterator<String> files = images.fieldNames(); files.hasNext(); ) {
            String file = files.next();
            float[] tensor = preprocessor.apply(GOLDEN.resolve("pictures").resolve(file));
            assertEquals(images.get(file).get(name).asText(), checksum(tensor), file);
        }
    }

    private static JsonNode file() throws IOException {
        return new ObjectMapper().readTree(GOLDEN.resolve("tensors.json").toFile());
    }

    private static String checksum(float[] tensor) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * tensor.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(tensor);
        try {
            StringBuilder text = new StringBuilder();
            for (byte value : MessageDigest.getInstance("SHA-256").digest(bytes.array())) {
                text.append(String.format("%02x", value));
            }
            return text.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }
}
