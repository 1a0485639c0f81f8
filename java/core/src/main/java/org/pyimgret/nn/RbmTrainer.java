package org.pyimgret.nn;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;
import org.pyimgret.engine.WorkerGroup;

/**
 * Contrastive divergence, an epoch a call, on parameters in the caller's memory.
 *
 * <p>Hinton (2002); persistent chains after Tieleman (2008). All that is random follows from the seed, the
 * epoch and the batch. What is learned from one batch to the next (velocities, the units' mean
 * activity, the chains) lies with the caller as well: a copy of it resumes training exactly.
 */
public final class RbmTrainer {

    private static final int DONE = 0;
    private static final int ERROR = 1;
    private static final int BLOCK = 2;

    final Rbm rbm;
    final int k;
    final boolean persistent;
    final boolean sampleVisible;
    final float learningRate;
    final float momentum;
    final float weightDecay;
    final boolean sparse;
    final float sparsityTarget;
    final float sparsityCost;
    final float sparsityDecay;
    final FloatPointer weightVelocity;
    final FloatPointer hiddenVelocity;
    final FloatPointer visibleVelocity;
    final FloatPointer activity;

    /** Hidden states that drive the model's side: drawn from the data, or the persistent chains. */
    final FloatPointer states;

    /** Data (and behind them the model's) visible values, twice: one is filled while one is used. */
    final FloatPointer[] visibles = new FloatPointer[2];

    /** The hidden statistics of the data and, negated, of the model. */
    final FloatPointer statistics;

    final int batchSize;
    final int chains;
    final int[] order;
    final double[] distances;
    private final int workers;
    private final JsonNode imageSettings;
    private final long seed;
    private final DoublePointer progress;
    private final StopFlag stopFlag = StopFlag.current();

    private volatile boolean stop;
    private int done;
    private double error;
    private boolean diverged;

    /**
     * Prepares an epoch.
     *
     * @param s what {@link Rbm} needs, {@code images} (see {@link Images}), {@code
     *     weights_velocity, hidden_velocity, visible_velocity} (addresses), {@code activity} and
     *     {@code chain} (addresses, 0 for none), {@code k, sample_visible, learning_rate, momentum,
     *     weight_decay, sparsity_target, sparsity_cost, sparsity_decay, batch_size, shuffle, seed,
     *     epoch}
     * @param progress address of two float64, written after each batch: batches done, error so far
     *     (mean over the values of the batches done)
     */
    public RbmTrainer(JsonNode s, long progress) {
        this.rbm = new Rbm(s);
        this.progress = Memory.doubles(progress, BLOCK);
        this.imageSettings = Json.required(s, "images");
        int count = Math.toIntExact(new Images(imageSettings).count());
        this.batchSize = Math.min(count, Json.required(s, "batch_size").asInt());
        this.persistent = Json.required(s, "chain").asLong() != 0;
        this.chains = persistent ? Json.required(s, "chains").asInt() : batchSize;
        this.k = Json.required(s, "k").asInt();
        this.sampleVisible = Json.required(s, "sample_visible").asBoolean();
        this.learningRate = number(s, "learning_rate");
        this.momentum = number(s, "momentum");
        this.weightDecay = number(s, "weight_decay");
        this.sparse = Json.required(s, "activity").asLong() != 0;
        this.sparsityTarget = number(s, "sparsity_target");
        this.sparsityCost = number(s, "sparsity_cost");
        this.sparsityDecay = number(s, "sparsity_decay");
        long size = (long) rbm.visible.units * rbm.hidden.units;
        this.weightVelocity = Rbm.floats(s, "weights_velocity", size);
        this.hiddenVelocity = Rbm.floats(s, "hidden_velocity", rbm.hidden.units);
        this.visibleVelocity = Rbm.floats(s, "visible_velocity", rbm.visible.units);
        this.activity = sparse ? Rbm.floats(s, "activity", rbm.hidden.units) : null;
        this.states = persistent
                ? Rbm.floats(s, "chain", (long) chains * rbm.hidden.units)
                : new FloatPointer((long) batchSize * rbm.hidden.units);
        long rows = (long) batchSize + chains;
        this.visibles[0] = new FloatPointer(rows * rbm.visible.units);
        this.visibles[1] = new FloatPointer(rows * rbm.visible.units);
        this.statistics = new FloatPointer(rows * rbm.hidden.units);
        this.seed = Seeds.mix(
                Json.required(s, "seed").asLong(), Json.required(s, "epoch").asLong());
        this.order = IntStream.range(0, count).toArray();
        if (Json.required(s, "shuffle").asBoolean()) {
            Batches.shuffle(order, seed);
        }
        this.workers = workers(size * batchSize);
        this.distances = new double[workers];
    }

    private static float number(JsonNode s, String name) {
        return (float) Json.required(s, name).asDouble();
    }

    /** Small machines gain nothing from a second thread. */
    private int workers(long multiplications) {
        int slices = Math.min(rbm.visible.units, rbm.hidden.units) / 16;
        return multiplications < 1 << 18 ? 1 : Math.max(1, Math.min(WorkerGroup.threads(), slices));
    }

    /**
     * Trains for the epoch, until the caller's {@link StopFlag} is raised.
     *
     * @return {@code status} (done, stopped, diverged), {@code batches}, {@code error}: the mean
     *     squared difference of data and one-step reconstruction, by value (with persistent chains,
     *     of which no reconstruction comes, the mean square of the chains' states)
     */
    public Map<String, Object> run() {
        try (WorkerGroup group = new WorkerGroup(workers)) {
            BlasThreads.run(group, place -> new RbmWorker(this, place, group).run());
        }
        free();
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("status", diverged ? "diverged" : done < batches() ? "stopped" : "done");
        result.put("batches", done);
        result.put("error", diverged ? -1 : error / Math.max(1, done));
        return result;
    }

    private void free() {
        visibles[0].close();
        visibles[1].close();
        statistics.close();
        if (!persistent) {
            states.close();
        }
    }

    Images images() {
        return new Images(imageSettings);
    }

    int batches() {
        return (order.length + batchSize - 1) / batchSize;
    }

    int rows(int batch) {
        return Math.min(batchSize, order.length - batch * batchSize);
    }

    int modelRows(int batch) {
        return persistent ? chains : rows(batch);
    }

    /** The seed of all that is random in a batch's step. */
    long seed(int batch, int step) {
        return Seeds.mix(Seeds.mix(seed, batch + 1L), step);
    }

    /** Asked by the first worker, before all meet; answered to all by {@link #goesOn}. */
    void lookForStop() {
        stop = stopFlag.raised();
    }

    /** The same answer for all workers, between the meeting of this batch and the next. */
    boolean goesOn() {
        return !stop && Double.isFinite(distance());
    }

    /** Told by the first worker after a batch. */
    void report(int batch) {
        int values = (persistent ? chains : rows(batch)) * rbm.visible.units;
        error += distance() / values;
        done = batch + 1;
        diverged = !Double.isFinite(error);
        progress.put(DONE, done);
        progress.put(ERROR, error / done);
    }

    private double distance() {
        double sum = 0;
        for (double part : distances) {
            sum += part;
        }
        return sum;
    }
}
