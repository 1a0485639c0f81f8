package org.pyimgret.spark;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.LongAccumulator;
import org.datavec.spark.util.SerializableHadoopConfig;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.encoder.TensorEncoder;
import org.pyimgret.nn.Json;

/**
 * Runs a saved model over images or vectors and writes the embeddings as Parquet.
 *
 * <p>The model travels to each executor once. An executor encodes one part of the rows after
 * another, a batch at a time, and writes each part as one file; a part whose executor dies is done
 * again, and only whole parts count. The output folder gets {@code broken=false} with columns
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
     * @throws Exception if data or model cannot be read, or the output not be written
     */
    public static void main(String[] arguments) throws Exception {
        JsonNode job = Settings.read(arguments);
        SparkConf conf = new SparkConf()
                .setIfMissing("spark.app.name", "pyimgret embed")
                // Both outputs stay open, so that no part need be sorted.
                .setIfMissing("spark.sql.maxConcurrentOutputFileWriters", "2");
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            new SparkEncoder(spark, job).run();
        }
    }

    private void run() throws Exception {
        byte[] model =
                Files.readAllBytes(Paths.get(Settings.required(job, "model").asText()));
        // NB: refused here, before it travels, if it is not a model or could run code.
        TensorEncoder encoder = Embedder.of(model);
        Records records = Records.of(Settings.required(job, "input"), spark.hadoopConfiguration());
        if (records.size() != encoder.inputSize()) {
            throw new IllegalArgumentException(
                    "the rows hold " + records.size() + " values, but the model takes " + encoder.inputSize());
        }
        LongAccumulator done = spark.sc().longAccumulator("done");
        int partRows = partRows(records.count());
        Progress.say("started", Map.of("images", records.count(), "part_rows", partRows));
        long start = System.nanoTime();
        Progress.during(spark, done, records.count(), write(encode(model, records, partRows, done)));
        finish(records, (System.nanoTime() - start) / 1e9, model);
    }

    /** Parts small enough that a lost one costs little and all cores end at about the same time. */
    private int partRows(int count) {
        // NB: the cores are known only when executors have come, and they come for a first job.
        spark.parallelize(List.of(0), 1).count();
        int cores = Math.max(1, spark.defaultParallelism());
        int usual = Math.max(MIN_PART, Math.min(MAX_PART, count / (PARTS_A_CORE * cores)));
        return Settings.positive(job, "part_rows", usual);
    }

    private JavaRDD<Embedding> encode(byte[] zip, Records all, int partRows, LongAccumulator done) {
        Broadcast<byte[]> model = spark.broadcast(zip);
        Broadcast<Records> records = spark.broadcast(all);
        Broadcast<SerializableHadoopConfig> hadoop =
                spark.broadcast(new SerializableHadoopConfig(spark.hadoopConfiguration()));
        int batchSize = Settings.positive(job, "batch_size", 256);
        boolean strict = job.path("strict").asBoolean(false);
        List<Integer> starts = new ArrayList<>();
        for (int first = 0; first < all.count(); first += partRows) {
            starts.add(first);
        }
        return spark.parallelize(starts, starts.size()).flatMap(first -> {
            Records data = records.value();
            int rows = Math.min(partRows, data.count() - first);
            TensorEncoder encoder = Embedder.of(model.value());
            Iterator<Records.Outcome> values = data.read(hadoop.value().getConfiguration(), first, rows);
            return new EncodedRows(encoder, data, values, batchSize, strict, done);
        });
    }

    private Callable<Void> write(JavaRDD<Embedding> embeddings) {
        SparkSession session = SparkSession.builder().sparkContext(spark.sc()).getOrCreate();
        String output = Settings.required(job, "output").asText();
        return () -> {
            session.createDataset(embeddings.rdd(), Encoders.bean(Embedding.class))
                    .select("key", "vector", "reason", "broken")
                    .write()
                    // Keys and numbers hardly ever repeat: to look for those that do took a third
                    // of an executor's time, and was given up for each file.
                    .option("parquet.enable.dictionary", "false")
                    .partitionBy("broken")
                    .parquet(output);
            return null;
        };
    }

    /** Counts what was written, and says so beside it. */
    private void finish(Records records, double seconds, byte[] model) throws IOException {
        SparkSession session = SparkSession.builder().sparkContext(spark.sc()).getOrCreate();
        String output = Settings.required(job, "output").asText();
        // NB: a column that names folders is read back as text.
        Dataset<Row> all = session.read().parquet(output);
        long broken = all.where("broken = 'true'").count();
        Map<String, Object> end = new LinkedHashMap<>();
        end.put("kind", Settings.text(job.get("input"), "kind", "array"));
        end.put("images", records.count());
        end.put("hidden_skipped", records.hiddenSkipped());
        end.put("embeddings", all.where("broken = 'false'").count());
        end.put("broken", broken);
        end.put("seconds", seconds);
        end.put("executors", Progress.executors(spark));
        end.put("model_zip_sha256", Embedder.checksum(model));
        end.put("model_checksum", Settings.text(job, "model_checksum", null));
        Path file = new Path(output, "_pyimgret.json");
        try (OutputStream out = file.getFileSystem(spark.hadoopConfiguration()).create(file)) {
            out.write(Json.write(end).getBytes(StandardCharsets.UTF_8));
        }
        Progress.say("finished", end);
    }
}
