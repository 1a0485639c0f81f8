package org.pyimgret.index;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;
import org.pyimgret.encoder.ImageEncoder;

/** The index that 0.1.0 made (tests/golden/make_index.py) opens and answers as it did then. */
final class GoldenIndexTest {

    private static final Path GOLDEN = Path.of("..", "..", "tests", "golden");
    private static final Path MADE = GOLDEN.resolve("index-0.1.0");
    private static final ObjectMapper JSON = new ObjectMapper();

    /** What the filters of answers.json mean, for those that are tried in Java. */
    private static final Map<String, Filter> FILTERS = Map.of(
            "label == \"cat\"",
            match -> "cat".equals(match.metadata().get("label")),
            "year >= 2001",
            match -> number(match.metadata().get("year")) >= 2001,
            "label != \"cat\"",
            match -> !"cat".equals(match.metadata().get("label")));

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"live", "published"})
    void searchesFindTheRecordedMatches(String kind) throws IOException {
        JsonNode answers = answers();
        int filtered = 0;
        try (CosineIndex index = open(kind)) {
            for (JsonNode query : answers.get("queries")) {
                JsonNode options = query.get("options");
                // Java has no min_score and no exclude; it always searches exactly.
                if (options.has("min_score") || options.has("exclude")) {
                    continue;
                }
                String where = options.path("where").asText("");
                Filter filter = FILTERS.getOrDefault(where, match -> true);
                if (options.hasNonNull("where") && !FILTERS.containsKey(where)) {
                    continue;
                }
                filtered += FILTERS.containsKey(where) ? 1 : 0;
                float[] vector = floats(query.get("vector"));
                int k = options.get("k").intValue();
                assertMatches(query.get("matches"), index.search(vector, k, filter));
            }
        }
        assertEquals(3 * FILTERS.size(), filtered);
    }

    @ParameterizedTest
    @ValueSource(strings = {"live", "published"})
    void itemsEqualTheRecordedOnes(String kind) throws IOException {
        JsonNode answers = answers();
        JsonNode info = answers.get("info");
        try (CosineIndex index = open(kind)) {
            assertEquals(info.get("count").intValue(), index.size());
            assertEquals(info.get("dimension").intValue(), index.dimension());
            assertEquals(info.get("model_checksum").asText(), index.modelChecksum());
            float[] any = floats(answers.get("queries").get(0).get("vector"));
            List<Match> all = index.search(any, 1_000);
            assertEquals(answers.get("items").size(), all.size());
            for (Match match : all) {
                JsonNode item = answers.get("items").get(match.key());
                assertEquals(item.get("id").asText(), match.id());
                JsonNode metadata = JSON.readTree(JSON.writeValueAsString(match.metadata()));
                assertEquals(item.get("metadata"), metadata, match.key());
                float[] vector = floats(item.get("vector"));
                assertEquals(1, index.search(vector, 1).get(0).score(), 1e-6);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"live", "published"})
    void storedModelFindsTheRecordedMatchesOfAnImage(String kind) throws IOException {
        JsonNode image = answers().get("image");
        Path file = GOLDEN.resolve("pictures").resolve(image.get("file").asText());
        try (CosineIndex index = open(kind);
                ImageEncoder encoder = ImageEncoder.load(folder.resolve("model.zip"))) {
            assertMatches(image.get("matches"), index.search(encoder.encode(file), 5));
        }
    }

    private static void assertMatches(JsonNode expected, List<Match> found) {
        assertTrue(expected.size() > 0);
        assertEquals(expected.size(), found.size());
        for (int i = 0; i < found.size(); i++) {
            assertEquals(expected.get(i).get(0).asText(), found.get(i).key());
            assertEquals(expected.get(i).get(1).doubleValue(), found.get(i).score(), 1e-6);
        }
    }

    /** Opens a copy: SQLite makes lock files beside a live index. */
    private CosineIndex open(String kind) throws IOException {
        try (Stream<Path> files = Files.list(MADE.resolve(kind))) {
            for (Path file : files.filter(Files::isRegularFile).collect(Collectors.toList())) {
                Files.copy(file, folder.resolve(file.getFileName()));
            }
        }
        return CosineIndex.open(folder);
    }

    private static JsonNode answers() throws IOException {
        return JSON.readTree(MADE.resolve("answers.json").toFile());
    }

    private static double number(Object value) {
        return value instanceof Number ? ((Number) value).doubleValue() : Double.NaN;
    }

    private static float[] floats(JsonNode numbers) {
        float[] floats = new float[numbers.size()];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = numbers.get(i).floatValue();
        }
        return floats;
    }
}
