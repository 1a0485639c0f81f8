package org.pyimgret.nn;

import java.util.Map;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.DoublePointer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.shade.jackson.databind.JsonNode;

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

    private final Batches batches;
    private final long seed;
    private final Pupil pupil;

    /**
     * Prepares training of a stack of layers.
     *
     * @param network what learns
     * @param settings {@code images, targets, batch_size, seed, shuffle}, optionally {@code
     *     corruption}, and {@code stock}: true keeps to {@code network.fit}
     */
    public Trainer(MultiLayerNetwork network, JsonNode settings) {
        Images images = new Images(Json.required(settings, "images"));
        boolean stock = settings.path("stock").asBoolean(false);
        this.seed = Json.required(settings, "seed").asLong();
        this.batches = batches(images, settings, seed);
        this.pupil = new StackPupil(network, batches.rows(), images.picture(), stock);
    }

    /**
     * Prepares training of a graph with one input and one output.
     *
     * @param graph what learns, channels first
     * @param settings as for a stack of layers
     */
    public Trainer(ComputationGraph graph, JsonNode settings) {
        this.seed = Json.required(settings, "seed").asLong();
        this.batches = batches(new Images(Json.required(settings, "images")), settings, seed);
        this.pupil = new GraphPupil(graph);
    }

    private static Batches batches(Images images, JsonNode settings, long seed) {
        return new Batches(
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
        DoublePointer block = org.pyimgret.bridge.Memory.doubles(control, BLOCK);
        double sum = 0;
        int done = first;
        int count = batches.count();
        Future<Batches.Batch> next = first < count ? batches.request(epoch, first) : null;
        String status = "done";
        while (done < count) {
            Batches.Batch batch = Batches.await(next);
            next = done + 1 < count ? batches.request(epoch, done + 1) : null;
            long chance = Chance.mix(Chance.mix(seed, epoch), done);
            double score = pupil.learn(batch.features, batch.labels, chance);
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
            sum += pupil.loss(batch.features, batch.labels) * batch.rows;
            rows += batch.rows;
        }
        return sum / rows;
    }

    @Override
    public void close() {
        pupil.close();
        batches.close();
    }
}
