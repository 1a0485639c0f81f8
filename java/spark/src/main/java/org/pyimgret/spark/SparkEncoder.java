package org.pyimgret.spark;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.LongAccumulator;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.encoder.TensorEncoder;
import org.pyimgret.nn.Json;

/**
 * Runs a saved model over images or vectors and writes the embeddings as Parquet.
 *
 * <p>The model is sent to each executor once. An executor encodes one part of the rows after
 * another, a batch at a time, and writes each part as one file; a part whose executor fails is encoded
 * again, and only complete parts count. The output folder gets {@code broken=false} with columns
 * {@code key, vector}, {@code broken=true} with columns {@code key, reason}, and {@code
 * _pyimgret.json}.
 *
 * <p>The job is a JSON document: {@code input} (see {@link Records#of}), {@code model} (a zip),
 * {@code output} (a folder that does not exist), {@code part_rows}, {@code batch_size}, {@code
 * strict}. Progress is one JSON document a line on standard output.
 */
public final class SparkEncoder {

    private static final int PARTS_A_CORE = 4;
    private static final int MIN_PART = 256;
    private static final int MAX_PART = 1 << 14;

    private final JavaSparkContext spark;
    private final JsonNode job;

    private SparkEncoder(JavaSparkContext spark, JsonNode job) {
        this.spark = spark;
        this.job = job;
    }

    /**
     * Runs an encoding job; {@code spark-submit} calls this.
     *
     * @param arguments the job, or the name of its file
     * @throws IOException if data or model cannot be read, or the output not be written
     */
    public static void main(String[] arguments) throws IOException {
        JsonNode job = Settings.read(arguments);
        SparkConf conf = new SparkConf()
                .setIfMissing("spark.app.name", "pyimgret embed")
                // Both outputs stay open, so that no part need be sorted.
                .setIfMissing("spark.sql.maxConcurrentOutputFileWriters", "2");
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            new SparkEncoder(spark, job).run();
        }
    }

    private void run() throws IOException {
        byte[] model = Files.readAllBytes(
                java.nio.file.Path.of(Settings.required(job, "model").asText()));
        // NB: refused here, before it is sent, if it is not a model or could run code.
        TensorEncoder encoder = ModelCache.get(model);
        Records records = Records.of(Settings.required(job, "input"), spark.hadoopConfiguration());
        if (records.size() != encoder.inputSize()) {
            throw new IllegalArgumentException(
                    "the rows hold " + records.size() + " values, but the model takes " + encoder.inputSize());
        }
        LongAccumulator done = spark.sc().longAccumulator("done");
        int partRows = partRows(records.count());
        Progress.emit("started", Map.of("images", records.count(), "part_rows", partRows));
        long start = System.nanoTime();
        JavaRDD<Row> embeddings = encode(model, records, partRows, done);
        Progress.during(spark, done, records.count(), () -> write(embeddings));
        finish(records, (System.nanoTime() - start) / 1e9, model);
    }

    /** Parts small enough that a lost one costs little and all cores end at about the same time. */
    private int partRows(int count) {
        // NB: the cores are known only when executors have registered, which they do for a first job.
        spark.parallelize(List.of(0), 1).count();
        int cores = Math.max(1, spark.defaultParallelism());
        int usual = Math.max(MIN_PART, Math.min(MAX_PART, count / (PARTS_A_CORE * cores)));
        return Settings.positive(job, "part_rows", usual);
    }

    private JavaRDD<Row> encode(byte[] zip, Records all, int partRows, LongAccumulator done) {
        Broadcast<byte[]> model = spark.broadcast(zip);
        int batchSize = Settings.positive(job, "batch_size", 256);
        boolean strict = job.path("strict").asBoolean(false);
        return all.parts(spark, partRows, (records, first, rows) -> new EncodedRows(
                        ModelCache.get(model.value()), records, strict, done)
                .of(first, rows, batchSize));
    }

    private void write(JavaRDD<Row> embeddings) {
        session()
                .createDataFrame(embeddings, EncodedRows.SCHEMA)
                .write()
                // Keys and numbers hardly ever repeat: the search for those that do took a third
                // of an executor's time, and was abandoned for each file.
                .option("parquet.enable.dictionary", "false")
                .partitionBy("broken")
                .parquet(output());
    }

    private SparkSession session() {
        return SparkSession.builder().sparkContext(spark.sc()).getOrCreate();
    }

    private String output() {
        return Settings.required(job, "output").asText();
    }

    /** Counts what was written, and writes the summary beside it. */
    private void finish(Records records, double seconds, byte[] model) throws IOException {
        // NB: a column that names folders is read back as text.
        Dataset<Row> all = session().read().parquet(output());
        long broken = all.where("broken = 'true'").count();
        Map<String, Object> end = new LinkedHashMap<>();
        end.put("kind", Settings.text(job.get("input"), "kind", "array"));
        end.put("images", records.count());
        end.put("hidden_skipped", records.hiddenSkipped());
        end.put("embeddings", all.where("broken = 'false'").count());
        end.put("broken", broken);
        end.put("seconds", seconds);
        end.put("executors", Progress.executors(spark));
        end.put("model_zip_sha256", ModelCache.checksum(model));
        end.put("model_checksum", Settings.text(job, "model_checksum", null));
        Path file = new Path(output(), "_pyimgret.json");
        try (OutputStream out = file.getFileSystem(spark.hadoopConfiguration()).create(file)) {
            out.write(Json.write(end).getBytes(StandardCharsets.UTF_8));
        }
        Progress.emit("finished", end);
    }
}
