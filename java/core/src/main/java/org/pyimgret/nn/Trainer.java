package org.pyimgret.nn;

import java.util.Map;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import org.bytedeco.javacpp.DoublePointer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Shape;

/**
 * Trains a network, one call an epoch.
 *
 * <p>All that is random in an iteration (order, corruption, dropout) follows from the seed, the epoch and
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
    private final TrainableNetwork network;

    /**
     * Prepares training of a stack of layers.
     *
     * @param network what learns
     * @param settings {@code images, targets, batch_size, seed, shuffle}, optionally {@code
     *     corruption}, and {@code stock}: true keeps to {@code network.fit}
     */
    public Trainer(MultiLayerNetwork network, JsonNode settings) {
        this(settings, (rows, input) -> EngineOrStock.of(network, rows, input, stock(settings)));
    }

    /**
     * Prepares training of a graph with one input and one output.
     *
     * @param graph what learns, channels first
     * @param settings as for a stack of layers
     */
    public Trainer(ComputationGraph graph, JsonNode settings) {
        this(settings, (rows, input) -> EngineOrStock.of(graph, rows, input, stock(settings)));
    }

    private Trainer(JsonNode settings, BiFunction<Integer, Shape, TrainableNetwork> network) {
        Images images = new Images(Json.required(settings, "images"));
        seed = Json.required(settings, "seed").asLong();
        batches = batches(images, settings, seed);
        this.network = network.apply(batches.rows(), images.engineShape());
    }

    Trainer(Batches batches, TrainableNetwork network, long seed) {
        this.batches = batches;
        this.network = network;
        this.seed = seed;
    }

    private static boolean stock(JsonNode settings) {
        return CompiledNetworks.stock() || settings.path("stock").asBoolean(false);
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
     *     this call), {@code engine}: what trains, {@code onednn}, or {@code dl4j} and why
     */
    public Map<String, Object> epoch(long epoch, int first, long progress) {
        DoublePointer block = org.pyimgret.engine.Memory.doubles(progress, BLOCK);
        StopFlag stop = StopFlag.current();
        double sum = 0;
        int done = first;
        int count = batches.count();
        String status = "done";
        BlasThreads.enter(BlasThreads.ALL);
        try {
            Future<Batches.Batch> next = first < count ? batches.request(epoch, first) : null;
            while (done < count) {
                Batches.Batch batch = Batches.await(next);
                next = done + 1 < count ? batches.request(epoch, done + 1) : null;
                long ofIteration = Seeds.mix(Seeds.mix(seed, epoch), done);
                double score = network.fit(batch.features, batch.labels, ofIteration);
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
            BlasThreads.leave(BlasThreads.ALL);
            // NB: what is made ahead reads the caller's memory, which may be freed after this call.
            batches.awaitAll();
        }
        double loss = done > first ? sum / (done - first) : 0.0;
        return Map.of("status", status, "iterations", done, "loss", loss, "engine", network.engine());
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
                sum += network.loss(batch.features, batch.labels) * batch.rows;
                rows += batch.rows;
            }
        } finally {
            BlasThreads.leave(BlasThreads.ALL);
        }
        return sum / rows;
    }

    @Override
    public void close() {
        network.close();
        batches.close();
    }
}
