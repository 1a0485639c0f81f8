package org.pyimgret.nn;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.DoublePointer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.nn.engine.Learner;

/**
 * Trains a network, one call an epoch.
 *
 * <p>All chance of an iteration (order, corruption, dropout) follows from the seed, the epoch and
 * the iteration, never from what ran before: training that goes on from saved parameters and updater
 * state equals training that was not interrupted.
 */
public final class Trainer implements AutoCloseable {

    /** Places of the block of float64 values that both sides read while an epoch runs. */
    private static final int STOP = 0;

    private static final int ITERATIONS = 1;
    private static final int SCORE = 2;
    private static final int BLOCK = 4;

    private final MultiLayerNetwork network;
    private final Batches batches;
    private final int[] picture;
    private final long seed;
    private final boolean stock;
    private Optional<Learner> learner;

    /**
     * Prepares training.
     *
     * @param network what learns
     * @param settings {@code images, targets, batch_size, seed, shuffle}, optionally {@code
     *     corruption}, and {@code stock}: true keeps to {@code network.fit}
     */
    public Trainer(MultiLayerNetwork network, JsonNode settings) {
        this.network = network;
        this.seed = Json.required(settings, "seed").asLong();
        this.stock = settings.path("stock").asBoolean(false);
        Images images = new Images(Json.required(settings, "images"));
        this.picture = images.picture();
        this.batches =
                new Batches(
                        images,
                        Targets.of(Json.required(settings, "targets"), images),
                        Json.has(settings, "corruption") ? new Corruption(settings.get("corruption")) : null,
                        Json.required(settings, "batch_size").asInt(),
                        seed,
                        settings.path("shuffle").asBoolean(true));
    }

    /**
     * Counts the iterations of an epoch.
     *
     * @return batches in an epoch
     */
    public int iterations() {
        return batches.count();
    }

    /**
     * Trains for one epoch, or for the rest of one.
     *
     * @param epoch its number, from 0
     * @param first the iteration of this epoch to begin with
     * @param control address of four float64: stop (the caller writes 1), iterations done, last
     *     score, free
     * @return {@code status} (done, stopped, diverged), {@code iterations}, {@code loss} (mean over
     *     this call)
     */
    public Map<String, Object> epoch(long epoch, int first, long control) {
        if (learner == null) {
            learner = stock ? Optional.empty() : Learner.of(network, batches.rows(), picture);
        }
        DoublePointer block = org.pyimgret.bridge.Memory.doubles(control, BLOCK);
        double sum = 0;
        int done = first;
        int count = batches.count();
        Future<Batches.Batch> next = first < count ? batches.request(epoch, first) : null;
        String status = "done";
        while (done < count) {
            Batches.Batch batch = Batches.await(next);
            next = done + 1 < count ? batches.request(epoch, done + 1) : null;
            double score = learn(batch, epoch, done);
            done++;
            block.put(ITERATIONS, done);
            block.put(SCORE, score);
            sum += score;
            if (!Double.isFinite(score)) {
                status = "diverged";
                break;
            }
            if (block.get(STOP) != 0 && done < count) {
                status = "stopped";
                break;
            }
        }
        if (next != null) {
            Batches.await(next);
        }
        return Map.of("status", status, "iterations", done, "loss", done > first ? sum / (done - first) : 0.0);
    }

    /** One iteration, on our own engine where it knows all of the network. */
    private double learn(Batches.Batch batch, long epoch, int iteration) {
        long chance = Chance.mix(Chance.mix(seed, epoch), iteration);
        if (learner.isPresent()) {
            return learner.get().fit(batch.features, batch.labels, chance);
        }
        Chance.seedNd4j(chance);
        network.fit(batch.features, batch.labels);
        return network.score();
    }

    /**
     * Gives the mean loss without training: dropout is off, batch normalisation uses its averages.
     *
     * @return mean over all rows
     */
    public double loss() {
        double sum = 0;
        long rows = 0;
        for (int i = 0; i < batches.count(); i++) {
            Batches.Batch batch = Batches.await(batches.request(0, i));
            sum += network.score(new DataSet(batch.features, batch.labels), false) * batch.rows;
            rows += batch.rows;
        }
        return sum / rows;
    }

    @Override
    public void close() {
        if (learner != null) {
            learner.ifPresent(Learner::close);
        }
        batches.close();
    }
}
