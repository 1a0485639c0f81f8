package org.pyimgret.nn;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.shade.guava.collect.MapMaker;
import org.pyimgret.engine.InferenceNetwork;
import org.pyimgret.engine.Precision;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.UnsupportedLayerException;

/**
 * The networks of this process as they were compiled for inference, each until its weights change.
 *
 * <p>Whoever changes weights says so by {@link #changed}. A network that was handed out to code of
 * others is compared with what was compiled, each time.
 */
public final class CompiledNetworks {

    /** The system property that chooses what runs networks: {@code onednn} or {@code dl4j}. */
    private static final String ENGINE = "org.pyimgret.engine";

    // NB: by identity; two networks with the same weights are equal to Deeplearning4j.
    private static final Map<Model, Entry> ENTRIES = new MapMaker().weakKeys().makeMap();

    private CompiledNetworks() {}

    /** What is known of one network. */
    private static final class Entry {
        final Map<String, Optional<InferenceNetwork>> compiled = new ConcurrentHashMap<>();
        volatile boolean handedOut;
        volatile long checksum;

        void clear() {
            for (String what : compiled.keySet()) {
                Optional<InferenceNetwork> removed = compiled.remove(what);
                if (removed != null) {
                    removed.ifPresent(InferenceNetwork::close);
                }
            }
        }
    }

    /** Compiles. */
    private interface Compilation {
        InferenceNetwork run() throws UnsupportedLayerException;
    }

    /**
     * Says whether networks are to be run and trained by Deeplearning4j itself.
     *
     * @return whether {@code -Dorg.pyimgret.engine=dl4j} was given
     */
    public static boolean stock() {
        return System.getProperty(ENGINE, "onednn").equals("dl4j");
    }

    /**
     * Describes what runs networks here.
     *
     * @return "onednn", "dl4j" where that was chosen, or why it has to be Deeplearning4j
     */
    public static String engine() {
        String obstacle = stock() ? "dl4j" : InferenceNetwork.obstacle();
        return obstacle == null ? "onednn" : obstacle;
    }

    /**
     * Compiles some layers, if the engine can run them; what was compiled before is used again.
     *
     * @param network the network
     * @param from the first layer
     * @param to the last layer
     * @param input what the first layer gets
     * @return the compiled network, which the caller closes; or nothing: Deeplearning4j has to run it
     */
    public static Optional<InferenceNetwork> of(MultiLayerNetwork network, int from, int to, Shape input) {
        return find(
                network,
                from + " " + to + " " + input,
                () -> InferenceNetwork.of(network, from, to, input, Precision.FLOAT32));
    }

    /**
     * Compiles a graph up to a vertex, if the engine can run it.
     *
     * @param graph the graph
     * @param vertex its name
     * @param input what the graph gets
     * @return the compiled network, which the caller closes; or nothing: Deeplearning4j has to run it
     */
    public static Optional<InferenceNetwork> of(ComputationGraph graph, String vertex, Shape input) {
        return find(graph, vertex + " " + input, () -> InferenceNetwork.of(graph, vertex, input, Precision.FLOAT32));
    }

    private static Optional<InferenceNetwork> find(Model network, String what, Compilation compilation) {
        if (stock()) {
            return Optional.empty();
        }
        Entry entry = ENTRIES.computeIfAbsent(network, key -> new Entry());
        if (entry.handedOut) {
            long checksum = Parameters.checksum(network.params());
            if (checksum != entry.checksum) {
                entry.clear();
                entry.checksum = checksum;
            }
        }
        while (true) {
            Optional<InferenceNetwork> found = entry.compiled.computeIfAbsent(what, key -> compile(compilation));
            // One that another thread has just cleared is compiled anew.
            if (found.isEmpty() || found.get().share()) {
                return found;
            }
        }
    }

    private static Optional<InferenceNetwork> compile(Compilation compilation) {
        try {
            return Optional.of(compilation.run());
        } catch (UnsupportedLayerException e) {
            return Optional.empty();
        }
    }

    /**
     * Forgets what was compiled: the weights have changed, or the network is given up.
     *
     * @param network whose
     */
    public static void changed(Model network) {
        Entry entry = ENTRIES.get(network);
        if (entry != null) {
            entry.clear();
        }
    }

    /**
     * Reckons with changes of the weights that nobody tells of.
     *
     * @param network which others have got
     */
    public static void handedOut(Model network) {
        Entry entry = ENTRIES.computeIfAbsent(network, key -> new Entry());
        entry.handedOut = true;
        entry.clear();
    }
}
