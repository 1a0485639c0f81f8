package org.pyimgret.bridge;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.Activations;
import org.pyimgret.nn.CompiledNetworks;
import org.pyimgret.nn.Images;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.NetworkFactory;
import org.pyimgret.nn.Parameters;
import org.pyimgret.nn.Trainer;
import org.pyimgret.nn.engine.StopFlag;

/**
 * What Python calls: static methods, one signature each, primitives and strings only.
 *
 * <p>Java objects stay here; Python holds their numbers and gives them back by {@link #release}.
 * Arrays come as addresses of float32 values in C order and are not kept beyond the call, except
 * those that a trainer reads until it is released.
 *
 * <p>Any number of threads may call: what changes an object waits for its other users ({@link
 * Handles}).
 */
public final class Bridge {

    private Bridge() {}

    /**
     * Makes a network from settings.
     *
     * @param settings JSON, see {@link NetworkFactory}
     * @return its handle
     */
    public static long createNetwork(String settings) {
        return Handles.put(NetworkFactory.create(Json.parse(settings)));
    }

    /**
     * Writes a network as a Deeplearning4j zip.
     *
     * @param network handle
     * @param path where to
     * @param updater whether the updater's state goes with it
     * @throws IOException when the file cannot be written
     */
    public static void saveNetwork(long network, String path, boolean updater) throws IOException {
        read(network, n -> ModelSerializer.writeModel(n, new File(path), updater));
    }

    /**
     * Restores a network from a model zip; a hostile file is refused, and nothing of it runs.
     *
     * @param path the zip
     * @param training whether the updater's state is restored as well
     * @return the network's handle
     * @throws IOException when the file cannot be read, or is refused
     */
    public static long restoreNetwork(String path, boolean training) throws IOException {
        return Handles.put(ModelFile.open(Path.of(path), training).network());
    }

    /**
     * Reads a model's description alone.
     *
     * @param path the zip
     * @return pyimgret.json, or an empty text for a zip that plain Deeplearning4j wrote
     * @throws IOException when the file cannot be read, or is refused
     */
    public static String readMetadata(String path) throws IOException {
        String metadata = ModelFile.readMetadata(Path.of(path));
        return metadata == null ? "" : metadata;
    }

    /**
     * Gives a network's configuration.
     *
     * @param network handle
     * @return Deeplearning4j's JSON
     */
    public static String configuration(long network) {
        return get(network, n -> n.getLayerWiseConfigurations().toJson());
    }

    /**
     * Describes a network's layers and parameters.
     *
     * @param network handle
     * @return JSON, see {@link Parameters#describe}
     */
    public static String describe(long network) {
        return get(network, Parameters::describe);
    }

    /**
     * Copies all parameters out, in Deeplearning4j's own order.
     *
     * @param network handle
     * @param out address of as many float32 values as the network has
     */
    public static void getParameters(long network, long out) {
        read(network, n -> Parameters.copy(n.params(), out));
    }

    /**
     * Copies all parameters in.
     *
     * @param network handle
     * @param in address of as many float32 values as the network has
     */
    public static void setParameters(long network, long in) {
        change(network, n -> {
            Parameters.assign(n.params(), in);
            CompiledNetworks.changed(n);
        });
    }

    /**
     * Copies one parameter out, as C order of its shape.
     *
     * @param network handle
     * @param key such as {@code 0_W}
     * @param out address of as many float32 values as it has
     */
    public static void getParameter(long network, String key, long out) {
        read(network, n -> Parameters.copy(Parameters.named(n, key), out));
    }

    /**
     * Copies one parameter in.
     *
     * @param network handle
     * @param key such as {@code 0_W}
     * @param in address of as many float32 values as it has, C order of its shape
     */
    public static void setParameter(long network, String key, long in) {
        change(network, n -> {
            Parameters.assign(Parameters.named(n, key), in);
            CompiledNetworks.changed(n);
        });
    }

    /**
     * Says how long the updater's state is.
     *
     * @param network handle
     * @return number of float32 values, 0 for an updater without state
     */
    public static long updaterStateLength(long network) {
        return get(network, Bridge::updaterStateLength);
    }

    /**
     * Copies the updater's state out.
     *
     * @param network handle
     * @param out address of {@link #updaterStateLength} float32 values
     */
    public static void getUpdaterState(long network, long out) {
        read(network, n -> Parameters.copy(n.getUpdater().getStateViewArray(), out));
    }

    /**
     * Copies the updater's state in, with the count of iterations that its corrections need.
     *
     * @param network handle
     * @param in address of {@link #updaterStateLength} float32 values
     * @param iteration iterations done
     * @param epoch epochs done
     */
    public static void setUpdaterState(long network, long in, int iteration, int epoch) {
        change(network, n -> {
            if (updaterStateLength(n) > 0) {
                Parameters.assign(n.getUpdater().getStateViewArray(), in);
            }
            n.setIterationCount(iteration);
            n.setEpochCount(epoch);
        });
    }

    /**
     * Says how many iterations a network was trained for.
     *
     * @param network handle
     * @return Deeplearning4j's count
     */
    public static int iterationCount(long network) {
        return get(network, MultiLayerNetwork::getIterationCount);
    }

    /**
     * Runs layers {@code from} to {@code to} over images.
     *
     * @param network handle
     * @param images JSON, see {@link Images}
     * @param from first layer
     * @param to last layer
     * @param batchSize pictures at a time
     * @param out address of count x width float32
     * @param width values of layer {@code to} for one picture
     */
    public static void activate(long network, String images, int from, int to, int batchSize, long out, long width) {
        Images input = new Images(Json.parse(images));
        if (!get(network, n -> Activations.compute(n, input, from, to, out, width))) {
            change(network, n -> Activations.computeAlone(n, input, from, to, batchSize, out, width));
        }
    }

    /**
     * Says how many values a layer gives for one picture.
     *
     * @param network handle
     * @param images JSON, see {@link Images}; its address is not read
     * @param layer which layer
     * @return length of its output
     */
    public static long outputSize(long network, String images, int layer) {
        long[] shape = new Images(Json.parse(images)).shape(1);
        return Handles.alone(network, MultiLayerNetwork.class, n -> Activations.size(n, shape, layer));
    }

    /**
     * Prepares training.
     *
     * @param network handle
     * @param settings JSON, see {@link Trainer}
     * @return the trainer's handle
     */
    public static long createTrainer(long network, String settings) {
        return Handles.put(network, MultiLayerNetwork.class, n -> new Trainer(n, Json.parse(settings)));
    }

    /**
     * Counts an epoch's iterations.
     *
     * @param trainer handle
     * @return batches in an epoch
     */
    public static int trainerIterations(long trainer) {
        return Handles.shared(trainer, Trainer.class, Trainer::iterations);
    }

    /**
     * Trains for an epoch.
     *
     * @param trainer handle
     * @param epoch its number
     * @param first the iteration to begin with
     * @param progress address of two float64, see {@link Trainer#epoch}
     * @return JSON
     */
    public static String trainEpoch(long trainer, long epoch, int first, long progress) {
        return Json.write(Handles.alone(trainer, Trainer.class, t -> t.epoch(epoch, first, progress)));
    }

    /**
     * Gives the mean loss over a trainer's data, without training.
     *
     * @param trainer handle
     * @return the loss
     */
    public static double trainerLoss(long trainer) {
        return Handles.alone(trainer, Trainer.class, Trainer::loss);
    }

    /**
     * Multiplies matrices on the backend, for the self-check.
     *
     * @param a address of m x k float32
     * @param b address of k x n float32
     * @param out address of m x n float32
     * @param m rows of a
     * @param k columns of a
     * @param n columns of b
     */
    public static void multiply(long a, long b, long out, int m, int k, int n) {
        SelfCheck.multiply(a, b, out, m, k, n);
    }

    /**
     * Convolves one picture with one kernel on the backend (stride 1, borders filled with zeros).
     *
     * @param image address of height x width float32
     * @param kernel address of size x size float32
     * @param out address of height x width float32
     * @param height of the picture
     * @param width of the picture
     * @param size of the kernel
     */
    public static void convolve(long image, long kernel, long out, int height, int width, int size) {
        SelfCheck.convolve(image, kernel, out, height, width, size);
    }

    /**
     * Describes what runs here.
     *
     * @return JSON: versions, backend, BLAS, oneDNN, threads, memory
     */
    public static String info() {
        return SelfCheck.info();
    }

    /**
     * Sets the number of threads of the mathematics.
     *
     * @param threads at least 1
     */
    public static void setThreads(int threads) {
        Nd4j.getEnvironment().setMaxThreads(threads);
        Nd4j.getEnvironment().setMaxMasterThreads(threads);
    }

    /**
     * Limits the memory of arrays, which ND4J keeps outside the Java heap.
     *
     * <p>NB: JavaCPP's own limit ({@code org.bytedeco.javacpp.maxbytes}) does not count ND4J's arrays.
     *
     * @param bytes at most so many
     */
    public static void limitMemory(long bytes) {
        Nd4j.getEnvironment().setDeviceLimit(0, bytes);
    }

    /**
     * Makes a byte of the caller's the one that stops the calling thread's long computations.
     *
     * @param address of the byte, see {@link StopFlag}
     */
    public static void watchStopFlag(long address) {
        StopFlag.watch(address);
    }

    /**
     * Gives a Java object back; its number is not used again.
     *
     * <p>What uses the object at the moment goes on, and the last use closes it.
     *
     * @param handle any handle
     */
    public static void release(long handle) {
        Handles.release(handle);
    }

    /**
     * Counts the Java objects that Python holds.
     *
     * @return number of open handles
     */
    public static int openHandles() {
        return Handles.count();
    }

    /**
     * Gives the network itself to those who script Deeplearning4j.
     *
     * @param network handle
     * @return the network
     */
    public static MultiLayerNetwork javaNetwork(long network) {
        return get(network, n -> {
            CompiledNetworks.handedOut(n);
            return n;
        });
    }

    private static long updaterStateLength(MultiLayerNetwork network) {
        INDArray state = network.getUpdater().getStateViewArray();
        return state == null ? 0 : state.length();
    }

    private static <R> R get(long network, Handles.Function<MultiLayerNetwork, R, RuntimeException> use) {
        return Handles.shared(network, MultiLayerNetwork.class, use);
    }

    private static <E extends Exception> void read(long network, Handles.Action<MultiLayerNetwork, E> use) throws E {
        Handles.read(network, MultiLayerNetwork.class, use);
    }

    private static <E extends Exception> void change(long network, Handles.Action<MultiLayerNetwork, E> use) throws E {
        Handles.change(network, MultiLayerNetwork.class, use);
    }
}
