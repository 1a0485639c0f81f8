package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;

/**
 * Runs a stack of convolutions and dense layers over many rows, in place of {@code network.output}.
 *
 * <p>Threads take pieces of rows and go through all layers alone, so that they never wait for each
 * other, and what a layer gives is still in the cache when the next one reads it.
 */
public final class Inference {

    /** Rows at a time: enough for BLAS to be at its best, few enough for the second-level cache. */
    private static final int PIECE = 192;

    /** Values of input in a piece: 16 MiB, however large the pictures are. */
    private static final int MOST = 1 << 22;

    /** Those who help a calling thread, which keeps them for its next call. */
    private static final ThreadLocal<Crew> CREW = new ThreadLocal<>();

    private final List<Block> blocks;
    private final MultiLayerNetwork network;

    /** Where rows come from. */
    public interface Source {

        /**
         * Copies rows, pictures as (height, width, channels).
         *
         * @param first number of the first
         * @param count how many
         * @param out receives them, one after the other
         */
        void read(long first, int count, float[] out);
    }

    private Inference(MultiLayerNetwork network, List<Block> blocks) {
        this.network = network;
        this.blocks = blocks;
    }

    /**
     * Makes a runner for layers of a network, if they are ones that it knows.
     *
     * @param network whose parameters are used
     * @param from first layer
     * @param to last layer
     * @param picture height, width and channels of what layer {@code from} gets, if it is no vector
     * @return the runner, or nothing: the layers' own methods are to be used
     */
    public static Optional<Inference> of(MultiLayerNetwork network, int from, int to, int... picture) {
        return Plan.of(network, from, to, picture.length == 3 ? picture.clone() : null).map(blocks -> new Inference(network, blocks));
    }

    /**
     * Says how wide the result is.
     *
     * @return values in a row of the last layer
     */
    public int width() {
        return blocks.get(blocks.size() - 1).results();
    }

    /**
     * Runs all rows.
     *
     * <p>Any number of threads may do so at once, with the same network too.
     *
     * @param sources makes one for each thread
     * @param rows how many rows
     * @param out address of rows x {@link #width} float32
     * @throws java.util.concurrent.CancellationException when the caller's {@link StopFlag} is raised
     */
    public void run(Supplier<? extends Source> sources, long rows, long out) {
        boolean few = blocks.stream().allMatch(b -> b.windows == null && Gemm.few(rows, b.inputs));
        if (few) {
            runAlone(sources.get(), (int) rows, out);
            return;
        }
        if (rows == 1) {
            // NB: BLAS's threads wait for each other longer than such a product takes. To forbid
            // them takes half a millisecond; few rows are multiplied so that it calls none anyway.
            BlasThreads.enter(1);
            try {
                runAlone(sources.get(), 1, out);
            } finally {
                BlasThreads.leave(1);
            }
            return;
        }
        Crew workers = crew();
        AtomicLong next = new AtomicLong();
        List<Layers> layers = new ArrayList<>();
        try {
            int piece = (int) Math.max(1, Math.min(piece(), (rows + workers.size - 1) / workers.size));
            for (int t = 0; t < workers.size; t++) {
                layers.add(new Layers(network, blocks, piece, Matrix.view(out, rows * width(), width(), 1)));
            }
            workers.run(t -> layers.get(t).takeAll(sources.get(), next, piece, rows));
        } finally {
            layers.forEach(Layers::close);
        }
    }

    /** Runs so few rows that a second thread would begin when they are done. */
    private void runAlone(Source source, int rows, long out) {
        try (Layers layers = new Layers(network, blocks, rows, Matrix.view(out, (long) rows * width(), width(), 1))) {
            layers.take(source, 0, rows);
        }
    }

    private static Crew crew() {
        Crew crew = CREW.get();
        if (crew == null || crew.size != Crew.threads()) {
            if (crew != null) {
                crew.close();
            }
            crew = Crew.ofAllThreads();
            CREW.set(crew);
        }
        return crew;
    }

    /** Rows that a thread takes at a time. */
    private int piece() {
        return Math.max(1, Math.min(PIECE, MOST / blocks.get(0).values()));
    }

    /**
     * Makes a runner for the thread that calls it, beside which others may run.
     *
     * @return the runner, to be closed; it knows the weights as they are now
     */
    public Solo solo() {
        return new Solo(network, blocks, piece());
    }
}
