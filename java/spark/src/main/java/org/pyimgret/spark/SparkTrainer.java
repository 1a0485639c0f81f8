package org.pyimgret.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.spark.api.RDDTrainingApproach;
import org.deeplearning4j.spark.api.Repartition;
import org.deeplearning4j.spark.impl.multilayer.SparkDl4jMultiLayer;
import org.deeplearning4j.spark.impl.paramavg.ParameterAveragingTrainingMaster;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.node.ObjectNode;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.NetworkFactory;

/**
 * Trains a network on a cluster by averaging parameters (McDonald, Hall and Mann 2010).
 *
 * <p>Every worker trains on {@code averaging_frequency} batches of its own, then the parameters and
 * the optimizer states of all workers are averaged, and all continue from there. The driver holds the
 * network and the names of the batches, never the data.
 *
 * <p>The job is a JSON document: {@code input} (see {@link Records#of}), {@code examples} (see
 * {@link org.pyimgret.nn.Examples}), {@code network} (settings, see {@link NetworkFactory}; a
 * learning-rate schedule is stretched over the whole training), {@code output}, {@code epochs},
 * {@code batch_size} of a worker, {@code workers}, {@code averaging_frequency}, {@code cache_bytes}
 * of an executor, and optionally {@code parameters} (a file of float32 to begin with), {@code
 * labels}, and {@code checkpoint} (a zip) with {@code checkpoint_every} epochs. Progress is one
 * JSON document a line on standard output.
 */
public final class SparkTrainer {

    private final JavaSparkContext spark;
    private final JsonNode job;
    private final int workers;
    private final int batchSize;
    private final int frequency;
    private final int epochs;
    private final long seed;

    private SparkTrainer(JavaSparkContext spark, JsonNode job) {
        this.spark = spark;
        this.job = job;
        this.workers = Settings.positive(job, "workers", spark.defaultParallelism());
        this.batchSize = Settings.positive(job, "batch_size", 128);
        this.frequency = Settings.positive(job, "averaging_frequency", 5);
        this.epochs = Settings.positive(job, "epochs", 10);
        this.seed = Settings.required(job.get("examples"), "seed").asLong();
    }

    /**
     * Runs a training job; {@code spark-submit} calls this.
     *
     * @param arguments the job, or the name of its file
     * @throws IOException if data or model cannot be read or written
     */
    public static void main(String[] arguments) throws IOException {
        JsonNode job = Settings.read(arguments);
        SparkConf conf = new SparkConf().setIfMissing("spark.app.name", "pyimgret train");
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            new SparkTrainer(spark, job).run();
        }
    }

    private void run() throws IOException {
        TrainingData data = TrainingData.find(spark, job);
        int count = data.records.count();
        checkSize(data.records);
        MultiLayerNetwork network = network(count);
        Progress.emit("started", Map.of("images", count, "workers", workers));
        train(network, loader(data), count);
        write(network, Settings.required(job, "output").asText());
        Map<String, Object> end = new LinkedHashMap<>();
        end.put("images", count);
        end.put("broken", data.failures);
        end.put("hidden_skipped", data.records.hiddenSkipped());
        end.put("iterations", network.getIterationCount());
        Progress.emit("finished", end);
    }

    private MultiLayerNetwork network(int count) throws IOException {
        JsonNode settings = Settings.required(job, "network");
        MultiLayerNetwork network = NetworkFactory.create(Schedule.stretch(settings, iterations(count)));
        String checkpoint = Settings.text(job, "checkpoint", null);
        if (checkpoint != null && Files.exists(Path.of(checkpoint))) {
            return resume(Path.of(checkpoint), network);
        }
        if (job.hasNonNull("parameters")) {
            Path start = Path.of(job.get("parameters").asText());
            network.setParams(Settings.floats(start, network.numParams()));
        }
        return network;
    }

    /** The network of a training run that was interrupted. */
    private static MultiLayerNetwork resume(Path checkpoint, MultiLayerNetwork fresh) throws IOException {
        Model saved = ModelFile.open(checkpoint, true).network();
        boolean same = saved instanceof MultiLayerNetwork
                && saved.numParams() == fresh.numParams()
                && ((MultiLayerNetwork) saved).getnLayers() == fresh.getnLayers();
        if (!same) {
            throw new IllegalArgumentException(
                    checkpoint + " is a checkpoint of another network; delete it to start again");
        }
        return (MultiLayerNetwork) saved;
    }

    /** Iterations that each worker will have run at the end. */
    private int iterations(int count) {
        return epochs
                * Rounds.of(0, count, batchSize, workers, frequency).stream()
                        .mapToInt(Rounds.Round::batchesPerWorker)
                        .sum();
    }

    private void checkSize(Records records) {
        JsonNode shape = job.get("examples");
        int expected = 1;
        for (String side : List.of("height", "width", "channels")) {
            expected *= Settings.positive(shape, side, 1);
        }
        if (records.size() != expected) {
            throw new IllegalArgumentException(
                    "the rows hold " + records.size() + " values, but the network takes " + expected);
        }
    }

    private ExampleLoader loader(TrainingData data) {
        ObjectNode examples = job.get("examples").deepCopy();
        if (data.labels != null) {
            examples.put("classes", data.classes);
        }
        return new ExampleLoader(
                spark.broadcast(data.records),
                data.labels == null ? null : spark.broadcast(data.labels),
                UUID.randomUUID().toString(),
                examples.toString(),
                job.path("cache_bytes").asLong(0));
    }

    private void train(MultiLayerNetwork network, ExampleLoader loader, int count) throws IOException {
        SparkDl4jMultiLayer trainer = new SparkDl4jMultiLayer(spark, network, master());
        int every = Settings.positive(job, "checkpoint_every", 1);
        for (int epoch = network.getEpochCount(); epoch < epochs; epoch++) {
            long start = System.nanoTime();
            double loss = epoch(trainer, loader, epoch, count);
            network.getLayerWiseConfigurations().setEpochCount(epoch + 1);
            if (job.hasNonNull("checkpoint") && (epoch + 1) % every == 0) {
                write(network, job.get("checkpoint").asText());
            }
            Map<String, Object> values = new LinkedHashMap<>();
            values.put("epoch", epoch + 1);
            values.put("epochs", epochs);
            values.put("loss", loss);
            values.put("seconds", (System.nanoTime() - start) / 1e9);
            values.put("executors", Progress.executors(spark));
            Progress.emit("epoch", values);
        }
    }

    private ParameterAveragingTrainingMaster master() {
        return new ParameterAveragingTrainingMaster.Builder(workers, batchSize)
                .batchSizePerWorker(batchSize)
                .averagingFrequency(frequency)
                // NB: otherwise the data goes through a folder that all machines must share.
                .rddTrainingApproach(RDDTrainingApproach.Direct)
                // The batches are assigned to workers already, and their names need no storage.
                .repartionData(Repartition.Never)
                .storageLevelStreams(null)
                // NB: batches are made on the training thread, whose random generator they seed.
                .workerPrefetchNumBatches(0)
                .rngSeed(seed)
                .build();
    }

    private double epoch(SparkDl4jMultiLayer trainer, ExampleLoader loader, int epoch, int count) {
        List<Rounds.Round> rounds = Rounds.of(epoch, count, batchSize, workers, frequency);
        double sum = 0;
        int done = 0;
        for (Rounds.Round round : rounds) {
            MultiLayerNetwork network = trainer.getNetwork();
            int iteration = network.getIterationCount();
            // NB: DL4J counts an epoch a call and averaging_frequency iterations, however many ran.
            network.getLayerWiseConfigurations().setEpochCount(epoch);
            JavaRDD<String> names = spark.parallelize(round.batches, round.workers);
            trainer.fitPaths(names, loader);
            network.getLayerWiseConfigurations().setIterationCount(iteration + round.batchesPerWorker());
            sum += trainer.getScore();
            if (!Double.isFinite(trainer.getScore())) {
                throw new IllegalStateException("the loss is no longer a finite number, in epoch " + (epoch + 1));
            }
            Progress.round(epoch, ++done, rounds.size(), trainer.getScore());
        }
        return sum / rounds.size();
    }

    /** Writes all of it or nothing. */
    private static void write(MultiLayerNetwork network, String output) throws IOException {
        Path target = Path.of(output).toAbsolutePath();
        Path part =
                Files.createTempFile(target.getParent(), target.getFileName().toString(), ".part");
        try {
            ModelSerializer.writeModel(network, part.toFile(), true);
            Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(part);
        }
    }
}
