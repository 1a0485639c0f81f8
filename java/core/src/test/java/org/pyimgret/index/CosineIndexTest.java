package org.pyimgret.index;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

final class CosineIndexTest {

    private static final int DIMENSION = 7;

    @TempDir
    Path folder;

    @Test
    void nearestEqualThoseByDefinition() throws Exception {
        for (int count : new int[] {1, 5, Snapshot.BLOCK, 3 * Snapshot.BLOCK + 17, 20_000}) {
            float[][] vectors = vectors(count, count);
            Path directory = Files.createDirectories(folder.resolve("n" + count));
            write(directory, vectors);
            try (CosineIndex index = CosineIndex.open(directory)) {
                assertEquals(count, index.size());
                assertEquals(DIMENSION, index.dimension());
                assertEquals("abc", index.modelChecksum());
                float[] query = vectors(1, 99)[0];
                List<Match> found = index.search(query, 10);
                assertEquals(slowly(vectors, query, 10), keys(found));
                assertEquals(
                        dot(vectors[row(found.get(0))], query), found.get(0).score(), 1e-6);
            }
        }
    }

    @Test
    void equalScoresAreInInsertionOrder() throws Exception {
        float[][] vectors = new float[3_000][];
        for (int i = 0; i < vectors.length; i++) {
            vectors[i] = unit(i % 3 == 0 ? new float[] {1, 0, 0, 0, 0, 0, 0} : someVector(i));
        }
        write(folder, vectors);
        try (CosineIndex index = CosineIndex.open(folder)) {
            List<Match> found = index.search(new float[] {5, 0, 0, 0, 0, 0, 0}, 4);
            assertEquals(List.of("k0", "k3", "k6", "k9"), keys(found));
            assertEquals(1f, found.get(3).score());
        }
    }

    @Test
    void filterReceivesKeysAndMetadata() throws Exception {
        float[][] vectors = vectors(500, 3);
        write(folder, vectors);
        try (CosineIndex index = CosineIndex.open(folder)) {
            float[] query = vectors[77];
            List<Match> even =
                    index.search(query, 20, match -> (int) match.metadata().get("n") % 2 == 0);
            List<String> expected = slowly(vectors, query, 500).stream()
                    .filter(key -> Integer.parseInt(key.substring(1)) % 2 == 0)
                    .limit(20)
                    .collect(Collectors.toList());
            assertEquals(expected, keys(even));
            assertTrue(index.search(query, 5, match -> false).isEmpty());
            assertEquals(500, index.search(query, 1_000).size());
            assertEquals("id77", index.search(query, 1).get(0).id());
        }
    }

    @Test
    void reloadReadsLaterChanges() throws Exception {
        write(folder, vectors(10, 1));
        try (CosineIndex index = CosineIndex.open(folder)) {
            assertFalse(index.reload());
            try (Connection connection = connect(folder)) {
                insert(connection, 10, vectors(11, 5)[10]);
                execute(connection, "UPDATE state SET revision = revision + 1");
            }
            assertEquals(10, index.size());
            assertTrue(index.reload());
            assertEquals(11, index.size());
            assertFalse(index.reload());
        }
    }

    @Test
    void publishedCopyIsReadFromReadOnlyFolder() throws Exception {
        Path directory = Files.createDirectories(folder.resolve("a b%41ä?#"));
        write(directory, vectors(10, 1));
        try (Connection connection = connect(directory)) {
            execute(connection, "PRAGMA journal_mode = DELETE");
        }
        assertTrue(directory.toFile().setWritable(false));
        try (CosineIndex index = CosineIndex.open(directory)) {
            assertEquals(10, index.size());
        } finally {
            assertTrue(directory.toFile().setWritable(true));
        }
        try (java.util.stream.Stream<Path> files = Files.list(directory)) {
            assertEquals(1, files.count());
        }
    }

    @Test
    void damagedOrForeignDatabaseIsRefused() throws Exception {
        assertThrows(NoSuchFileException.class, () -> CosineIndex.open(folder));
        write(folder, vectors(10, 1));
        change("UPDATE vectors SET crc = crc + 1 WHERE number = 4");
        refused("damaged at the key k3");
        change("UPDATE vectors SET crc = crc - 1, vector = x'00' WHERE number = 4");
        refused("damaged at the key k3");
        change("UPDATE meta SET value = 'seven' WHERE name = 'dimension'");
        refused("the dimension is seven");
        change("UPDATE meta SET value = 'euclidean' WHERE name = 'metric'");
        refused("metric euclidean");
        change("PRAGMA user_version = 2");
        refused("format 2");
        change("PRAGMA application_id = 5");
        refused("not a pyimgret index");
        Files.write(folder.resolve("index.sqlite"), new byte[5_000]);
        refused("index.sqlite");
    }

    @Test
    void queryWithoutCosineIsRefused() throws Exception {
        write(folder, vectors(10, 1));
        try (CosineIndex index = CosineIndex.open(folder)) {
            assertIllegal("6 numbers", index, new float[6], 1);
            assertIllegal("not all zero", index, new float[DIMENSION], 1);
            assertIllegal("finite", index, new float[] {0, 0, 0, Float.NaN, 0, 0, 0}, 1);
            assertIllegal("k is 0", index, vectors(1, 1)[0], 0);
            assertIllegal("k is -1", index, vectors(1, 1)[0], -1);
        }
    }

    @Test
    void nullIsRefusedByName() throws Exception {
        assertNull("directory", () -> CosineIndex.open(null));
        write(folder, vectors(10, 1));
        try (CosineIndex index = CosineIndex.open(folder)) {
            float[] query = vectors(1, 1)[0];
            assertNull("query", () -> index.search(null, 1));
            assertNull("filter", () -> index.search(query, 1, null));
        }
    }

    private static void assertNull(String name, Executable call) {
        assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
    }

    @Test
    void closedIndexIsRefused() throws Exception {
        write(folder, vectors(10, 1));
        CosineIndex index = CosineIndex.open(folder);
        index.close();
        assertThrows(IllegalStateException.class, () -> index.search(vectors(1, 1)[0], 1));
        assertThrows(IllegalStateException.class, index::reload);
        assertThrows(IllegalStateException.class, index::size);
    }

    @Test
    void concurrentSearchesAreCorrectDuringReload() throws Exception {
        float[][] vectors = vectors(2_000, 4);
        write(folder, vectors);
        try (CosineIndex index = CosineIndex.open(folder)) {
            List<Thread> threads = new ArrayList<>();
            List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
            for (int t = 0; t < 8; t++) {
                int seed = t;
                Thread thread = new Thread(() -> searchMany(index, vectors, seed));
                thread.setUncaughtExceptionHandler((where, error) -> failures.add(error));
                threads.add(thread);
                thread.start();
            }
            for (int i = 0; i < 5; i++) {
                change("UPDATE state SET revision = revision + 1");
                assertTrue(index.reload());
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertEquals(List.of(), failures);
        }
    }

    private static void searchMany(CosineIndex index, float[][] vectors, int seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 100; i++) {
            int row = random.nextInt(vectors.length);
            assertEquals("k" + row, index.search(vectors[row], 3).get(0).key());
        }
    }

    private void refused(String message) {
        Exception error = assertThrows(IndexStoreException.class, () -> CosineIndex.open(folder));
        assertTrue(error.getMessage().contains(message), error.getMessage());
    }

    private static void assertIllegal(String message, CosineIndex index, float[] query, int k) {
        Exception error = assertThrows(IllegalArgumentException.class, () -> index.search(query, k));
        assertTrue(error.getMessage().contains(message), error.getMessage());
    }

    private void change(String sql) throws SQLException {
        try (Connection connection = connect(folder)) {
            execute(connection, sql);
        }
    }

    private static List<String> slowly(float[][] vectors, float[] query, int k) {
        return IntStream.range(0, vectors.length)
                .boxed()
                .sorted(Comparator.comparingDouble(row -> -dot(vectors[row], query)))
                .limit(k)
                .map(row -> "k" + row)
                .collect(Collectors.toList());
    }

    private static double dot(float[] a, float[] b) {
        return IntStream.range(0, a.length)
                .mapToDouble(i -> (double) a[i] * b[i])
                .sum();
    }

    private static List<String> keys(List<Match> matches) {
        return matches.stream().map(Match::key).collect(Collectors.toList());
    }

    private static int row(Match match) {
        return Integer.parseInt(match.key().substring(1));
    }

    private static float[][] vectors(int count, int seed) {
        return IntStream.range(0, count)
                .mapToObj(i -> unit(someVector(31 * seed + i)))
                .toArray(float[][]::new);
    }

    private static float[] someVector(int seed) {
        Random random = new Random(seed);
        float[] vector = new float[DIMENSION];
        for (int i = 0; i < DIMENSION; i++) {
            vector[i] = (float) random.nextGaussian();
        }
        return vector;
    }

    private static float[] unit(float[] vector) {
        double length = Math.sqrt(dot(vector, vector));
        float[] unit = new float[vector.length];
        for (int i = 0; i < vector.length; i++) {
            unit[i] = (float) (vector[i] / length);
        }
        return unit;
    }

    private static Connection connect(Path directory) throws SQLException {
        String uri = directory.resolve("index.sqlite").toUri().toString();
        return DriverManager.getConnection("jdbc:sqlite:" + uri.replace("file:///", "file:/"));
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** The tables that a reader needs, as pyimgret/index/storage/schema.py makes them. */
    private static void write(Path directory, float[][] vectors) throws SQLException {
        try (Connection connection = connect(directory)) {
            execute(connection, "PRAGMA journal_mode = WAL");
            execute(connection, "PRAGMA application_id = " + 0x70796967);
            execute(connection, "PRAGMA user_version = 1");
            connection.setAutoCommit(false);
            execute(connection, "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)");
            execute(connection, "CREATE TABLE state (revision INTEGER)");
            execute(
                    connection,
                    "CREATE TABLE items (number INTEGER PRIMARY KEY, id TEXT, key TEXT," + " metadata TEXT)");
            execute(connection, "CREATE TABLE vectors (number INTEGER PRIMARY KEY, vector BLOB, crc INTEGER)");
            execute(connection, "INSERT INTO state VALUES (1)");
            execute(
                    connection,
                    "INSERT INTO meta VALUES ('uuid', 'u'), ('dimension', '7'),"
                            + " ('metric', 'cosine'), ('model_checksum', 'abc')");
            for (int i = 0; i < vectors.length; i++) {
                insert(connection, i, vectors[i]);
            }
            connection.commit();
        }
    }

    private static void insert(Connection connection, int row, float[] vector) throws SQLException {
        ByteBuffer bytes = ByteBuffer.allocate(4 * DIMENSION).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(vector);
        CRC32 crc = new CRC32();
        crc.update(bytes.array());
        String items = "INSERT INTO items VALUES (?, ?, ?, ?)";
        try (PreparedStatement item = connection.prepareStatement(items);
                PreparedStatement numbers = connection.prepareStatement("INSERT INTO vectors VALUES (?, ?, ?)")) {
            item.setInt(1, row + 1);
            item.setString(2, "id" + row);
            item.setString(3, "k" + row);
            item.setString(4, "{\"n\": " + row + "}");
            item.execute();
            numbers.setInt(1, row + 1);
            numbers.setBytes(2, bytes.array());
            numbers.setLong(3, crc.getValue());
            numbers.execute();
        }
    }
}
