package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.factory.Environment;
import org.nd4j.linalg.factory.Nd4j;

/** Input that does not fit, failed allocations, and closing while other threads encode. */
final class TensorEncoderTest {

    private static final Path MODELS = Path.of("..", "..", "tests", "golden", "models");
    private static final int SIZE = 16 * 20 * 3;

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "convolutional", "recurrent", "inverted_residuals"})
    void tensorOfAnotherLengthIsRefused(String model) throws IOException {
        try (TensorEncoder encoder = load(model)) {
            List<float[]> tensors = tensors(3);
            float[][] expected = encoder.encode(tensors);
            for (int length : new int[] {0, SIZE - 1, SIZE + 1}) {
                String message = refused(encoder, List.of(tensors.get(0), new float[length]));
                assertTrue(message.startsWith("tensors[1]: got " + length + " numbers"), message);
                assertTrue(message.contains("expected " + SIZE + " numbers"), message);
            }
            assertEmbeddings(expected, encoder.encode(tensors));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "convolutional"})
    void numbersThatAreNotFiniteAreRefused(String model) throws IOException {
        try (TensorEncoder encoder = load(model)) {
            for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                List<float[]> tensors = tensors(3);
                tensors.get(2)[7] = value;
                String message = refused(encoder, tensors);
                assertTrue(message.startsWith("tensors[2][7]: got " + value), message);
            }
        }
    }

    @Test
    void nullIsRefusedByName() throws IOException {
        assertNull("path of the model", () -> TensorEncoder.load(null));
        assertNull("path of the model", () -> ModelFile.open(null));
        assertNull("path of the model", () -> ModelFile.readMetadata(null));
        try (TensorEncoder encoder = load("autoencoder")) {
            assertNull("tensors", () -> encoder.encode(null));
            List<float[]> tensors = tensors(2);
            tensors.set(1, null);
            String message = refused(encoder, tensors);
            assertTrue(message.startsWith("tensors[1]: got null"), message);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "recurrent"})
    void emptyListGivesNoEmbeddings(String model) throws IOException {
        try (TensorEncoder encoder = load(model)) {
            assertEquals(0, encoder.encode(List.of()).length);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "convolutional", "recurrent", "inverted_residuals"})
    void closedEncoderIsRefused(String model) throws IOException {
        TensorEncoder encoder = load(model);
        List<float[]> tensors = tensors(2);
        encoder.encode(tensors);
        encoder.close();
        encoder.close();
        assertThrows(IllegalStateException.class, () -> encoder.encode(tensors));
        assertThrows(IllegalStateException.class, () -> encoder.encode(List.of()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "recurrent", "inverted_residuals"})
    void closeWaitsForRunningEncodes(String model) throws Exception {
        List<float[]> tensors = tensors(60);
        float[][] expected;
        try (TensorEncoder encoder = load(model)) {
            expected = encoder.encode(tensors);
        }
        for (int round = 0; round < 5; round++) {
            TensorEncoder encoder = load(model);
            ClosedInUse.check(encoder, thread -> assertEmbeddings(expected, encoder.encode(tensors)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "convolutional", "recurrent", "inverted_residuals"})
    void callAfterFailedAllocationWorks(String model) throws IOException {
        List<float[]> tensors = tensors(50);
        Environment nd4j = Nd4j.getEnvironment();
        // The limit is Deeplearning4j's: what the engine runs allocates nothing there.
        try (TensorEncoder encoder = loadStock(model);
                TensorEncoder healthy = loadStock(model)) {
            long limit = nd4j.getDeviceLimit(0);
            nd4j.setDeviceLimit(0, 1); // bytes: less than the weights take already
            try {
                Exception error = assertThrows(RuntimeException.class, () -> encoder.encode(tensors));
                assertTrue(error.getMessage().contains("Allocation failed"), error::toString);
            } finally {
                nd4j.setDeviceLimit(0, limit);
            }
            assertEmbeddings(healthy.encode(tensors), encoder.encode(tensors));
        }
    }

    private static void assertNull(String name, Executable call) {
        assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
    }

    private static String refused(TensorEncoder encoder, List<float[]> tensors) {
        return assertThrows(IllegalArgumentException.class, () -> encoder.encode(tensors))
                .getMessage();
    }

    private static void assertEmbeddings(float[][] expected, float[][] found) {
        assertEquals(expected.length, found.length);
        for (int i = 0; i < expected.length; i++) {
            assertArrayEquals(expected[i], found[i], 1e-5f);
        }
    }

    private static TensorEncoder load(String model) throws IOException {
        TensorEncoder encoder = TensorEncoder.load(MODELS.resolve(model + ".zip"));
        assertEquals(SIZE, encoder.inputSize());
        return encoder;
    }

    private static TensorEncoder loadStock(String model) throws IOException {
        System.setProperty("org.pyimgret.engine", "dl4j");
        try {
            return load(model);
        } finally {
            System.clearProperty("org.pyimgret.engine");
        }
    }

    private static List<float[]> tensors(int count) {
        Random random = new Random(1);
        List<float[]> tensors = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            float[] tensor = new float[SIZE];
            for (int j = 0; j < SIZE; j++) {
                tensor[j] = random.nextFloat();
            }
            tensors.add(tensor);
        }
        return tensors;
    }
}
