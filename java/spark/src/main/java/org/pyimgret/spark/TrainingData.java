package org.pyimgret.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.spark.api.java.JavaSparkContext;
import org.nd4j.shade.guava.collect.Iterators;
import org.nd4j.shade.jackson.databind.JsonNode;

/** What a network is trained on: the rows that can be read, and their classes if there are any. */
final class TrainingData {

    private static final int CHECKED_ROWS = 256;

    final Records records;

    /** The class of each row, or null. */
    final int[] labels;

    final int classes;

    /** The reason of each image that cannot be read, by its key. */
    final Map<String, String> failures;

    private TrainingData(Records records, int[] labels, int classes, Map<String, String> failures) {
        this.records = records;
        this.labels = labels;
        this.classes = classes;
        this.failures = failures;
    }

    /** Finds the rows; every image is decoded once, and those that cannot be read are left out. */
    static TrainingData find(JavaSparkContext spark, JsonNode job) throws IOException {
        Records records = Records.of(Settings.required(job, "input"), spark.hadoopConfiguration());
        Map<String, String> failures = new TreeMap<>();
        if (records instanceof ImageRecords) {
            records = readable(spark, (ImageRecords) records, failures);
        }
        String labels = Settings.text(job, "labels", null);
        if (labels == null) {
            return new TrainingData(records, null, 0, failures);
        }
        int classes = Settings.positive(job, "classes", 1);
        int[] numbers = labels.equals("folders")
                ? byFolder(records, Settings.required(job, "folders"))
                : byFile(records, Path.of(labels));
        for (int number : numbers) {
            if (number < 0 || number >= classes) {
                throw new IOException("class " + number + " is none of " + classes);
            }
        }
        return new TrainingData(records, numbers, classes, failures);
    }

    private static ImageRecords readable(JavaSparkContext spark, ImageRecords all, Map<String, String> failures)
            throws IOException {
        List<Records.Outcome> found = all.parts(
                        spark,
                        CHECKED_ROWS,
                        (records, first, rows) ->
                                Iterators.filter(records.read(first, rows), outcome -> outcome.reason != null))
                .collect();
        found.forEach(outcome -> failures.put(all.key(outcome.row), outcome.reason));
        if (found.size() == all.count()) {
            throw new IOException("no image can be read, the first because: " + found.get(0).reason);
        }
        Set<Integer> rows = found.stream().map(outcome -> outcome.row).collect(Collectors.toSet());
        return found.isEmpty() ? all : all.without(rows);
    }

    /** The class of an image is the position of its top folder in the list. */
    private static int[] byFolder(Records records, JsonNode folders) throws IOException {
        Map<String, Integer> numbers = new HashMap<>();
        folders.forEach(name -> numbers.put(name.asText(), numbers.size()));
        int[] labels = new int[records.count()];
        for (int i = 0; i < labels.length; i++) {
            Integer number = numbers.get(records.folder(i));
            if (number == null) {
                throw new IOException(records.key(i) + " is in none of the class folders " + folders);
            }
            labels[i] = number;
        }
        return labels;
    }

    /** Labels from a file on the driver: little-endian int32, one a row. */
    private static int[] byFile(Records records, Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int[] labels = new int[bytes.remaining() / Integer.BYTES];
        bytes.asIntBuffer().get(labels);
        if (labels.length != records.count()) {
            throw new IOException(file + " holds " + labels.length + " labels for " + records.count() + " rows.");
        }
        return labels;
    }
}
