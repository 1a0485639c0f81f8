package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ImageEncoderTest {

    private static final Path GOLDEN = Path.of("..", "..", "tests", "golden");
    private static final Path MODEL = GOLDEN.resolve("models").resolve("autoencoder.zip");

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "convolutional", "recurrent"})
    void concurrentEncodesGiveTheResultsOfOneThread(String model) throws Exception {
        List<Path> images = images();
        try (ImageEncoder encoder = ImageEncoder.builder().threads(3).load(zip(model))) {
            List<float[]> expected = new ArrayList<>();
            for (Path image : images) {
                expected.add(encoder.encode(image));
            }
            List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
            List<Thread> threads = new ArrayList<>();
            for (int t = 0; t < 8; t++) {
                int seed = t;
                Thread thread = new Thread(() -> encodeMany(encoder, images, expected, seed));
                thread.setUncaughtExceptionHandler((where, error) -> failures.add(error));
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertEquals(List.of(), failures);
        }
    }

    private static void encodeMany(ImageEncoder encoder, List<Path> images, List<float[]> expected, int seed) {
        Random random = new Random(seed);
        try {
            for (int i = 0; i < 100; i++) {
                int row = random.nextInt(images.size());
                assertArrayEquals(expected.get(row), encoder.encode(images.get(row)), 1e-5f);
            }
            List<float[]> all = encoder.encodeAll(images);
            for (int row = 0; row < all.size(); row++) {
                assertArrayEquals(expected.get(row), all.get(row), 1e-5f);
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void pathBytesAndImageGiveTheSameEmbedding() throws IOException {
        Path file = GOLDEN.resolve("pictures").resolve("size-151x97.png");
        try (ImageEncoder encoder = ImageEncoder.load(MODEL)) {
            float[] embedding = encoder.encode(file);
            BufferedImage image = ImageIO.read(file.toFile());
            byte[] bytes = Files.readAllBytes(file);
            assertEquals(encoder.dimension(), embedding.length);
            assertArrayEquals(embedding, encoder.encode(bytes));
            assertArrayEquals(embedding, encoder.encode(image));
            for (float[] one : encoder.encodeAll(List.of(file, bytes, image))) {
                assertArrayEquals(embedding, one, 1e-5f);
            }
            assertTrue(encoder.encodeAll(List.of()).isEmpty());
        }
    }

    @Test
    void imageThatCannotBeDecodedIsNamedByItsIndex() throws IOException {
        Path text = Files.writeString(folder.resolve("text.png"), "no image");
        try (ImageEncoder encoder = ImageEncoder.builder().batchSize(2).load(MODEL)) {
            List<Path> images = new ArrayList<>(images().subList(0, 7));
            images.add(5, text);
            Exception error = assertThrows(ImageDecodeException.class, () -> encoder.encodeAll(images));
            assertTrue(error.getMessage().startsWith("image 5: "), error.getMessage());
            images.set(5, images().get(5));
            List<Object> mixed = new ArrayList<>(images);
            for (Object wrong : new Object[] {"x.png", null}) {
                mixed.set(3, wrong);
                Exception refused = assertThrows(IllegalArgumentException.class, () -> encoder.encodeAll(mixed));
                assertTrue(refused.getMessage().startsWith("image 3: got "), refused::toString);
            }
            assertEquals(7, encoder.encodeAll(images().subList(0, 7)).size());
        }
    }

    @Test
    void closedEncoderIsRefused() throws IOException {
        ImageEncoder encoder = ImageEncoder.load(MODEL);
        encoder.close();
        encoder.close();
        Path image = images().get(0);
        assertThrows(IllegalStateException.class, () -> encoder.encode(image));
        assertThrows(IllegalStateException.class, () -> encoder.encodeAll(List.of(image)));
        assertThrows(IllegalStateException.class, () -> encoder.encodeAll(List.of()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"autoencoder", "recurrent"})
    void closeWaitsForRunningEncodes(String model) throws Exception {
        List<Path> images = images().subList(0, 8);
        List<float[]> expected;
        try (ImageEncoder encoder = ImageEncoder.load(zip(model))) {
            expected = encoder.encodeAll(images);
        }
        for (int round = 0; round < 5; round++) {
            ImageEncoder encoder = ImageEncoder.builder().threads(2).load(zip(model));
            ClosedInUse.check(encoder, thread -> encodeMany(encoder, images, expected, thread));
        }
    }

    @Test
    void nullIsRefusedByName() throws IOException {
        assertNull("path of the model", () -> ImageEncoder.load(null));
        assertNull("json", () -> ImagePreprocessor.fromJson(null));
        try (ImageEncoder encoder = ImageEncoder.load(MODEL)) {
            assertNull("file", () -> encoder.encode((Path) null));
            assertNull("file", () -> encoder.encode((byte[]) null));
            assertNull("image", () -> encoder.encode((BufferedImage) null));
            assertNull("images", () -> encoder.encodeAll(null));
        }
    }

    private static void assertNull(String name, Executable call) {
        assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
    }

    @Test
    void closeEndsTheThreads() throws IOException {
        try (ImageEncoder encoder = ImageEncoder.load(MODEL)) {
            encoder.encodeAll(images());
            assertTrue(threadsOfEncoders() > 0);
        }
        assertEquals(0, threadsOfEncoders());
    }

    private static long threadsOfEncoders() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("pyimgret-encoder"))
                .count();
    }

    @Test
    void descriptionThatDoesNotFitIsRefused() throws IOException {
        refused("format version 2, written by pyimgret 9.9", "\"format\": 1", "\"format\": 2");
        refused("code layer 40", "\"code_layer\": 4", "\"code_layer\": 40");
        refused("code layer \"x\"", "\"code_layer\": 4", "\"code_layer\": \"x\"");
        refused("normalisation", "\"normalisation\": \"l2\"", "\"normalisation\": \"l1\"");
        refused("unknown input", "\"dense\"", "\"sparse\"");
        refused("not JSON", "{", "[");
        refused("another size", "\"height\": 16", "\"height\": 17");
        refused("newer", "\"short_side\"", "\"gamma\": 2, \"short_side\"");
        Path plain = without(MODEL, "pyimgret.json");
        assertMessage("plain Deeplearning4j", plain);
    }

    private void refused(String message, String from, String to) throws IOException {
        Map<String, byte[]> entries = entries(MODEL);
        String json = new String(entries.get("pyimgret.json"), StandardCharsets.UTF_8);
        assertTrue(json.contains(from), json);
        int at = json.indexOf(from);
        String edited = json.substring(0, at) + to + json.substring(at + from.length());
        edited = edited.replace("pyimgret 0.1.0", "pyimgret 9.9");
        entries.put("pyimgret.json", edited.getBytes(StandardCharsets.UTF_8));
        assertMessage(message, write(entries));
    }

    private static void assertMessage(String message, Path model) {
        Exception error = assertThrows(
                ModelFormatException.class, () -> ImageEncoder.load(model).close());
        assertTrue(error.getMessage().contains(message), error.getMessage());
        assertTrue(error.getMessage().startsWith(model.toString()), error.getMessage());
    }

    private Path without(Path zip, String name) throws IOException {
        Map<String, byte[]> entries = entries(zip);
        entries.remove(name);
        return write(entries);
    }

    private static Map<String, byte[]> entries(Path path) throws IOException {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        try (ZipFile zip = new ZipFile(path.toFile())) {
            for (ZipEntry entry : Collections.list(zip.entries())) {
                entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
            }
        }
        return entries;
    }

    private Path write(Map<String, byte[]> entries) throws IOException {
        Path path = folder.resolve("edited.zip");
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(path))) {
            for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
                out.putNextEntry(new ZipEntry(entry.getKey()));
                out.write(entry.getValue());
            }
        }
        return path;
    }

    private static Path zip(String model) {
        return GOLDEN.resolve("models").resolve(model + ".zip");
    }

    private static List<Path> images() throws IOException {
        try (Stream<Path> files = Files.list(GOLDEN.resolve("pictures"))) {
            return files.sorted().collect(Collectors.toList());
        }
    }
}
