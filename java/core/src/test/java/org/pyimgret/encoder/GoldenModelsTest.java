package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/** The embeddings and neighbours that Python wrote down (tests/golden), for every kind of model. */
final class GoldenModelsTest {

    private static final Path GOLDEN = Path.of("..", "..", "tests", "golden");
    private static final float TOLERANCE = 1e-5f;

    @TempDir
    Path folder;

    private static Iterator<String> models() throws IOException {
        return file().fieldNames();
    }

    @ParameterizedTest
    @MethodSource("models")
    void embeddingsEqualPythons(String model) throws IOException {
        JsonNode golden = file().get(model);
        List<Path> images = images(golden);
        try (ImageEncoder encoder = ImageEncoder.builder().batchSize(16).load(zip(model))) {
            List<float[]> embeddings = encoder.encodeAll(images);
            for (int i = 0; i < images.size(); i++) {
                String name = images.get(i).getFileName().toString();
                float[] expected = floats(golden.get(name).get("embedding"));
                assertArrayEquals(expected, embeddings.get(i), TOLERANCE, name);
                assertArrayEquals(expected, encoder.encode(images.get(i)), TOLERANCE, name);
            }
            checkNeighbours(golden, images, embeddings);
        }
    }

    /** Pictures of one look in several formats are equally near; their order may differ. */
    private static void checkNeighbours(JsonNode golden, List<Path> images, List<float[]> embeddings) {
        for (int query = 0; query < images.size(); query++) {
            String name = images.get(query).getFileName().toString();
            float[] scores = scores(embeddings, query);
            float[] sorted = scores.clone();
            Arrays.sort(sorted);
            int rank = 1;
            for (JsonNode near : golden.get(name).get("nearest")) {
                int row = images.indexOf(
                        GOLDEN.resolve("pictures").resolve(near.get(0).asText()));
                float expected = near.get(1).floatValue();
                assertEquals(expected, scores[row], TOLERANCE, name);
                assertEquals(expected, sorted[sorted.length - rank++], TOLERANCE, name);
            }
        }
    }

    private static float[] scores(List<float[]> embeddings, int query) {
        float[] scores = new float[embeddings.size()];
        for (int row = 0; row < scores.length; row++) {
            float[] other = embeddings.get(row);
            float[] own = embeddings.get(query);
            double sum = IntStream.range(0, own.length)
                    .mapToDouble(i -> own[i] * other[i])
                    .sum();
            scores[row] = row == query ? -2 : (float) sum;
        }
        return scores;
    }

    @ParameterizedTest
    @MethodSource("models")
    void plainDeeplearning4jRestoresModels(String model) throws Exception {
        ModelDescription description = ModelDescription.parse(ModelFile.readMetadata(zip(model)));
        JsonNode golden = file().get(model);
        List<Path> images = images(golden).subList(0, 20);
        List<float[]> tensors = new ArrayList<>();
        for (Path image : images) {
            tensors.add(description.preprocessor.apply(image));
        }
        float[] codes = runPlain(model, description, tensors);
        if (description.withMirrorImage) {
            tensors.replaceAll(tensor -> mirrored(tensor, description));
            float[] others = runPlain(model, description, tensors);
            for (int i = 0; i < codes.length; i++) {
                codes[i] = (codes[i] + others[i]) / 2;
            }
        }
        float[][] found = EmbeddingNetwork.normalised(codes, images.size(), description.embeddingSize);
        for (int i = 0; i < found.length; i++) {
            String name = images.get(i).getFileName().toString();
            float[] expected = floats(golden.get(name).get("embedding"));
            assertArrayEquals(expected, found[i], TOLERANCE, name);
        }
    }

    private static float[] mirrored(float[] tensor, ModelDescription about) {
        float[] mirrored = new float[tensor.length];
        for (int i = 0; i < tensor.length; i++) {
            int channel = i % about.channels;
            int x = i / about.channels % about.width;
            int y = i / about.channels / about.width;
            int from = (y * about.width + about.width - 1 - x) * about.channels + channel;
            mirrored[i] = tensor[from];
        }
        return mirrored;
    }

    /** Runs plain.PlainDl4j in a JVM that has no other class of ours. */
    private float[] runPlain(String model, ModelDescription about, List<float[]> tensors)
            throws IOException, InterruptedException {
        ByteBuffer numbers = buffer(tensors.get(0).length * tensors.size());
        for (float[] tensor : tensors) {
            for (float number : tensor) {
                numbers.putFloat(number);
            }
        }
        Path input = Files.write(folder.resolve("tensors"), numbers.array());
        Path output = folder.resolve("embeddings");
        String shape = about.layout + "," + about.height + "," + about.width + "," + about.channels;
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-cp", foreignClasses()));
        command.add("plain.PlainDl4j");
        command.addAll(List.of(zip(model).toString(), about.codeLayer.asText(), shape));
        command.addAll(List.of(input.toString(), output.toString()));
        Path log = folder.resolve("log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        assertEquals(0, process.waitFor(), () -> read(log));
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(output));
        float[] codes = new float[bytes.order(ByteOrder.LITTLE_ENDIAN).remaining() / 4];
        bytes.asFloatBuffer().get(codes);
        return codes;
    }

    private String foreignClasses() throws IOException {
        Path copy = folder.resolve("plain").resolve("PlainDl4j.class");
        Files.createDirectories(copy.getParent());
        try (InputStream in = getClass().getResourceAsStream("/plain/PlainDl4j.class")) {
            Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
        }
        String all = System.getProperty("java.class.path");
        String kept = Arrays.stream(all.split(File.pathSeparator))
                .filter(entry -> entry.endsWith(".jar") && !entry.contains("pyimgret-core"))
                .collect(Collectors.joining(File.pathSeparator));
        assertTrue(kept.contains("deeplearning4j-nn"), kept);
        return folder + File.pathSeparator + kept;
    }

    private static String read(Path log) {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static ByteBuffer buffer(int numbers) {
        return ByteBuffer.allocate(4 * numbers).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static Path zip(String model) {
        return GOLDEN.resolve("models").resolve(model + ".zip");
    }

    private static List<Path> images(JsonNode golden) {
        List<Path> paths = new ArrayList<>();
        golden.fieldNames()
                .forEachRemaining(name -> paths.add(GOLDEN.resolve("pictures").resolve(name)));
        assertTrue(paths.size() >= 30);
        return paths;
    }

    private static float[] floats(JsonNode numbers) {
        float[] floats = new float[numbers.size()];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = numbers.get(i).floatValue();
        }
        return floats;
    }

    private static JsonNode file() throws IOException {
        return new ObjectMapper().readTree(GOLDEN.resolve("models.json").toFile());
    }
}
