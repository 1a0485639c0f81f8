package org.pyimgret.nn;

import java.util.Map;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.DoublePointer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.nn.engine.BlasThreads;
import org.pyimgret.nn.engine.StopFlag;

/**
 * Trains a network, one call an epoch.
 *
 * <p>All chance of an iteration (order, corruption, dropout) follows from the seed, the epoch and
 * the iteration, never from what ran before: training that goes on from saved parameters and updater
 * state equals training that was not interrupted.
 */
public final class Trainer implements AutoCloseable {

    /** Places of the block of float64 values that the caller reads while an epoch runs. */
    private static final int ITERATIONS = 0;

    private static final int SCORE = 1;
    private static final int BLOCK = 2;

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
        boolean stock = CompiledNetworks.stock() || settings.path("stock").asBoolean(false);
        this.seed = Json.required(settings, "seed").asLong();
        this.batches = batches(images, settings, seed);
        this.pupil = new StackPupil(network, batches.rows(), images.picture(), stock);
    }

    Trainer(Batches batches, Pupil pupil, long seed) {
        this.batches = batches;
        this.pupil = pupil;
        this.seed = seed;
    }

    /**
     * Prepares training of a graph with one input and one output.
     *
     * @param graph what learns, channels first
     * @param settings as for a stack of layers
     */
    public Trainer(ComputationGraph graph, JsonNode settings) {
        this(
                batches(settings),
                new GraphPupil(graph),
                Json.required(settings, "seed").asLong());
    }

    private static Batches batches(JsonNode settings) {
        Images images = new Images(Json.required(settings, "images"));
        return batches(images, settings, Json.required(settings, "seed").asLong());
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
     * Trains for one epoch, or for the rest of one, until the caller's {@link StopFlag} is raised.
     *
     * @param epoch its number, from 0
     * @param first the iteration of this epoch to begin with
     * @param progress address of two float64, written after each iteration: iterations done, last
     *     score
     * @return {@code status} (done, stopped, diverged), {@code iterations}, {@code loss} (mean over
     *     this call)
     */
    public Map<String, Object> epoch(long epoch, int first, long progress) {
        DoublePointer block = org.pyimgret.engine.Memory.doubles(progress, BLOCK);
        StopFlag stop = StopFlag.current();
        double sum = 0;
        int done = first;
        int count = batches.count();
        String status = "done";
        int threads = pupil.blasThreads();
        BlasThreads.enter(threads);
        try {
            Future<Batches.Batch> next = first < count ? batches.request(epoch, first) : null;
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
                if (stop.raised() && done < count) {
                    status = "stopped";
                    break;
                }
            }
        } finally {
            BlasThreads.leave(threads);
            // NB: what is made ahead reads the caller's memory, which may be freed after this call.
            batches.awaitAll();
        }
        return Map.of("status", status, "iterations", done, "loss", done > first ? sum / (done - first) : 0.0);
    }

    /**
     * Gives the mean loss without training: dropout is off, batch normalisation uses its averages.
     *
     * @return mean over all rows
     * @throws java.util.concurrent.CancellationException when the caller's {@link StopFlag} is raised
     */
    public double loss() {
        StopFlag stop = StopFlag.current();
        double sum = 0;
        long rows = 0;
        BlasThreads.enter(BlasThreads.ALL);
        try {
            for (int i = 0; i < batches.count(); i++) {
                stop.check();
                Batches.Batch batch = Batches.await(batches.request(0, i));
                sum += pupil.loss(batch.features, batch.labels) * batch.rows;
                rows += batch.rows;
            }
        } finally {
            BlasThreads.leave(BlasThreads.ALL);
        }
        return sum / rows;
    }

    @Override
    public void close() {
        pupil.close();
        batches.close();
    }
}
