package org.pyimgret.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaSparkContext;
import org.nd4j.shade.jackson.databind.JsonNode;

/** What a network is trained on: the rows that can be read, and their classes if there are any. */
final class TrainingData {

    private final Records records;
    private final int[] labels;
    private final int classes;
    private final Map<String, String> broken;

    private TrainingData(Records records, int[] labels, int classes, Map<String, String> broken) {
        this.records = records;
        this.labels = labels;
        this.classes = classes;
        this.broken = broken;
    }

    /** Finds the rows; of images every one is decoded once, and the broken ones are left out. */
    static TrainingData find(JavaSparkContext spark, JsonNode job) throws IOException {
        Records records = Records.of(Settings.required(job, "input"), spark.hadoopConfiguration());
        Map<String, String> broken = new TreeMap<>();
        if (records instanceof ImageRecords) {
            records = intact(spark, (ImageRecords) records, broken);
        }
        String labels = Settings.text(job, "labels", null);
        if (labels == null) {
            return new TrainingData(records, null, 0, broken);
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
        return new TrainingData(records, numbers, classes, broken);
    }

    private static ImageRecords intact(JavaSparkContext spark, ImageRecords all, Map<String, String> broken)
            throws IOException {
        List<Check.Broken> found = Check.run(spark, all);
        for (Check.Broken image : found) {
            broken.put(all.key(image.row()), image.reason());
        }
        if (broken.size() == all.count()) {
            throw new IOException(
                    "no image can be read, the first because: " + found.get(0).reason());
        }
        return found.isEmpty() ? all : all.without(Check.rows(found));
    }

    /** Each image's class is the place of its top folder in the list. */
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

    Records records() {
        return records;
    }

    int count() {
        return records.count();
    }

    int[] labels() {
        return labels;
    }

    int classes() {
        return classes;
    }

    Map<String, String> broken() {
        return broken;
    }
}
