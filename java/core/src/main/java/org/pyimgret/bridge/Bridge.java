package org.pyimgret.bridge;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.Activations;
import org.pyimgret.nn.CompiledNetworks;
import org.pyimgret.nn.GraphFactory;
import org.pyimgret.nn.GraphNetwork;
import org.pyimgret.nn.Images;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.NetworkFactory;
import org.pyimgret.nn.Parameters;
import org.pyimgret.nn.Trainer;

/**
 * The networks and trainers of Python: static methods, one signature each, primitives and strings
 * only.
 *
 * <p>Java objects stay here; Python holds their handles and returns them by {@link #release}. A
 * network is a {@code MultiLayerNetwork} or a {@code ComputationGraph}; a layer of it is a number, or
 * the name of a vertex. {@code images} is JSON, see {@link Images}. {@code in} and {@code out} are
 * addresses of float32 values in C order. They are not used after the call, except those that a
 * trainer reads until it is released.
 *
 * <p>Any number of threads may call: a call that changes an object waits for its other users
 * ({@link Handles}).
 */
public final class Bridge {

    private Bridge() {}

    /** Creates a network from JSON, see {@link NetworkFactory} and {@link GraphFactory}; returns its handle. */
    public static long createNetwork(String settings) {
        JsonNode json = Json.parse(settings);
        return Handles.put(json.has("vertices") ? GraphFactory.create(json) : NetworkFactory.create(json));
    }

    /** Writes a network as a Deeplearning4j zip, with its optimizer state if {@code updater}. */
    public static void saveNetwork(long network, String path, boolean updater) throws IOException {
        read(network, n -> ModelSerializer.writeModel(n, new File(path), updater));
    }

    /**
     * Restores a network from a model zip, with its optimizer state if {@code training}; returns its
     * handle. A hostile file is refused, and nothing of it runs.
     */
    public static long restoreNetwork(String path, boolean training) throws IOException {
        return Handles.put(ModelFile.open(Path.of(path), training).network());
    }

    /** Returns the pyimgret.json of a model zip; an empty text for a zip that plain Deeplearning4j wrote. */
    public static String readMetadata(String path) throws IOException {
        String metadata = ModelFile.readMetadata(Path.of(path));
        return metadata == null ? "" : metadata;
    }

    /** Returns Deeplearning4j's own configuration of a network, JSON. */
    public static String configuration(long network) {
        return get(
                network,
                n -> n instanceof ComputationGraph
                        ? ((ComputationGraph) n).getConfiguration().toJson()
                        : stack(n).getLayerWiseConfigurations().toJson());
    }

    /** Describes a network's layers and parameters, JSON: see {@link Parameters#describe}. */
    public static String describe(long network) {
        return get(network, n -> n instanceof ComputationGraph ? graph(n).describe() : Parameters.describe(stack(n)));
    }

    /** Copies all parameters out, in Deeplearning4j's own order. */
    public static void getParameters(long network, long out) {
        read(network, n -> Parameters.copy(n.params(), out));
    }

    /** Replaces all parameters, in Deeplearning4j's own order. */
    public static void setParameters(long network, long in) {
        change(network, n -> {
            Parameters.assign(n.params(), in);
            CompiledNetworks.changed(n);
        });
    }

    /** Copies one parameter out; its key is such as {@code 0_W} or {@code logits_W}. */
    public static void getParameter(long network, String key, long out) {
        read(network, n -> Parameters.copy(parameter(n, key), out));
    }

    /** Replaces one parameter; its key is such as {@code 0_W} or {@code logits_W}. */
    public static void setParameter(long network, String key, long in) {
        change(network, n -> {
            Parameters.assign(parameter(n, key), in);
            CompiledNetworks.changed(n);
        });
    }

    /** Returns the number of values of the optimizer state of a stack of layers, 0 where there is none. */
    public static long updaterStateLength(long network) {
        return get(network, n -> updaterStateLength(stack(n)));
    }

    /** Copies the optimizer state out. */
    public static void getUpdaterState(long network, long out) {
        read(network, n -> Parameters.copy(stack(n).getUpdater().getStateViewArray(), out));
    }

    /** Replaces the optimizer state, with the counts of iterations and epochs that its corrections need. */
    public static void setUpdaterState(long network, long in, int iteration, int epoch) {
        change(network, n -> {
            if (updaterStateLength(stack(n)) > 0) {
                Parameters.assign(stack(n).getUpdater().getStateViewArray(), in);
            }
            stack(n).setIterationCount(iteration);
            stack(n).setEpochCount(epoch);
        });
    }

    /** Returns for how many iterations a network was trained, as Deeplearning4j counts them. */
    public static int iterationCount(long network) {
        return get(network, n -> stack(n).getIterationCount());
    }

    /**
     * Runs layers {@code from} to {@code to} over images; a graph runs from its input.
     *
     * @param batchSize number of images per batch where Deeplearning4j itself runs the layers
     * @param out receives count x width values
     * @param width number of output values of layer {@code to} for one image
     */
    public static void activate(long network, String images, int from, String to, int batchSize, long out, long width) {
        Images input = new Images(Json.parse(images));
        boolean done = get(
                network,
                n -> n instanceof ComputationGraph
                        ? graph(n).activate(input, to, out, width)
                        : Activations.compute(stack(n), input, from, Integer.parseInt(to), out, width));
        if (!done) {
            change(network, n -> {
                if (n instanceof ComputationGraph) {
                    graph(n).activateAlone(input, to, batchSize, out, width);
                } else {
                    Activations.computeAlone(stack(n), input, from, Integer.parseInt(to), batchSize, out, width);
                }
            });
        }
    }

    /**
     * Returns the shape of a layer's output for one image, JSON: {@code shape}, [values], or for a
     * graph's feature maps [channels, height, width]. The addresses in {@code images} are not read.
     */
    public static String outputShape(long network, String images, String layer) {
        Images input = new Images(Json.parse(images));
        long[] shape = Handles.alone(
                network,
                Model.class,
                n -> n instanceof ComputationGraph
                        ? graph(n).outputShape(input, layer)
                        : new long[] {Activations.size(stack(n), input.shape(1), Integer.parseInt(layer))});
        return Json.write(Map.of("shape", shape));
    }

    /** Creates a trainer of a network from JSON, see {@link Trainer}; returns its handle. */
    public static long createTrainer(long network, String settings) {
        return Handles.put(
                network,
                Model.class,
                n -> n instanceof ComputationGraph
                        ? new Trainer((ComputationGraph) n, Json.parse(settings))
                        : new Trainer(stack(n), Json.parse(settings)));
    }

    /** Returns the number of iterations, or batches, of an epoch. */
    public static int trainerIterations(long trainer) {
        return Handles.shared(trainer, Trainer.class, Trainer::iterations);
    }

    /**
     * Trains for an epoch, from iteration {@code first} on.
     *
     * @param progress address of two float64, see {@link Trainer#epoch}
     * @return JSON
     */
    public static String trainEpoch(long trainer, long epoch, int first, long progress) {
        return Json.write(Handles.alone(trainer, Trainer.class, t -> t.epoch(epoch, first, progress)));
    }

    /** Returns the mean loss over a trainer's data, without training. */
    public static double trainerLoss(long trainer) {
        return Handles.alone(trainer, Trainer.class, Trainer::loss);
    }

    /** Releases a handle, which is not used again; the last call that uses its object closes it. */
    public static void release(long handle) {
        Handles.release(handle);
    }

    /** Returns the number of handles that Python holds. */
    public static int openHandles() {
        return Handles.count();
    }

    /** Returns the network itself, for scripting Deeplearning4j. */
    // NB: declared as Object, or pyjnius would show the methods of Model alone.
    public static Object javaNetwork(long network) {
        return get(network, n -> {
            CompiledNetworks.handedOut(n);
            return n;
        });
    }

    private static MultiLayerNetwork stack(Model network) {
        return (MultiLayerNetwork) network;
    }

    private static GraphNetwork graph(Model network) {
        return new GraphNetwork((ComputationGraph) network);
    }

    private static INDArray parameter(Model network, String key) {
        Map<String, INDArray> known = network.paramTable();
        INDArray parameter = known.get(key);
        if (parameter == null) {
            throw new IllegalArgumentException("unknown parameter '" + key + "'; known: " + known.keySet());
        }
        return parameter;
    }

    private static long updaterStateLength(MultiLayerNetwork network) {
        INDArray state = network.getUpdater().getStateViewArray();
        return state == null ? 0 : state.length();
    }

    private static <R> R get(long network, Handles.Function<Model, R, RuntimeException> use) {
        return Handles.shared(network, Model.class, use);
    }

    private static <E extends Exception> void read(long network, Handles.Action<Model, E> use) throws E {
        Handles.<Model, Void, E>shared(network, Model.class, use);
    }

    private static <E extends Exception> void change(long network, Handles.Action<Model, E> use) throws E {
        Handles.<Model, Void, E>alone(network, Model.class, use);
    }
}
