package org.pyimgret.bridge;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.util.ModelSerializer;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.CompiledNetworks;
import org.pyimgret.nn.GraphFactory;
import org.pyimgret.nn.GraphNetwork;
import org.pyimgret.nn.Images;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.Parameters;
import org.pyimgret.nn.Trainer;

/** What Python calls for graphs; the rules are those of {@link Bridge}. */
public final class GraphBridge {

    private GraphBridge() {}

    /**
     * Makes a graph from settings.
     *
     * @param settings JSON, see {@link GraphFactory}
     * @return its handle
     */
    public static long createGraph(String settings) {
        return Handles.put(new GraphNetwork(GraphFactory.create(Json.parse(settings))));
    }

    /**
     * Restores a graph from a model zip; a hostile file is refused, and nothing of it runs.
     *
     * @param path the zip
     * @param training whether the updater's state is restored as well
     * @return its handle
     * @throws IOException when the file cannot be read, or is refused
     */
    public static long restoreGraph(String path, boolean training) throws IOException {
        Model model = ModelFile.open(Path.of(path), training).network();
        return Handles.put(new GraphNetwork((ComputationGraph) model));
    }

    /**
     * Writes a graph as a Deeplearning4j zip.
     *
     * @param graph handle
     * @param path where to
     * @param updater whether the updater's state goes with it
     * @throws IOException when the file cannot be written
     */
    public static void saveGraph(long graph, String path, boolean updater) throws IOException {
        Handles.read(graph, GraphNetwork.class, g -> ModelSerializer.writeModel(g.stored(), new File(path), updater));
    }

    /**
     * Gives a graph's configuration.
     *
     * @param graph handle
     * @return Deeplearning4j's JSON
     */
    public static String graphConfiguration(long graph) {
        return get(graph, g -> g.stored().getConfiguration().toJson());
    }

    /**
     * Describes a graph's vertices and parameters.
     *
     * @param graph handle
     * @return JSON, see {@link GraphNetwork#describe}
     */
    public static String describeGraph(long graph) {
        return get(graph, GraphNetwork::describe);
    }

    /**
     * Copies all parameters out, in Deeplearning4j's own order.
     *
     * @param graph handle
     * @param out address of as many float32 values as the graph has
     */
    public static void getGraphParameters(long graph, long out) {
        Handles.read(graph, GraphNetwork.class, g -> Parameters.copy(g.stored().params(), out));
    }

    /**
     * Copies all parameters in.
     *
     * @param graph handle
     * @param in address of as many float32 values as the graph has
     */
    public static void setGraphParameters(long graph, long in) {
        change(graph, g -> {
            Parameters.assign(g.stored().params(), in);
            CompiledNetworks.changed(g.stored());
        });
    }

    /**
     * Copies one parameter out, as C order of its shape.
     *
     * @param graph handle
     * @param key such as {@code logits_W}
     * @param out address of as many float32 values as it has
     */
    public static void getGraphParameter(long graph, String key, long out) {
        Handles.read(graph, GraphNetwork.class, g -> Parameters.copy(g.parameter(key), out));
    }

    /**
     * Copies one parameter in.
     *
     * @param graph handle
     * @param key such as {@code logits_W}
     * @param in address of as many float32 values as it has, C order of its shape
     */
    public static void setGraphParameter(long graph, String key, long in) {
        change(graph, g -> {
            Parameters.assign(g.parameter(key), in);
            CompiledNetworks.changed(g.stored());
        });
    }

    /**
     * Gives the shape of what a vertex answers to one picture.
     *
     * @param graph handle
     * @param images JSON, see {@link org.pyimgret.nn.Images}
     * @param vertex its name
     * @return JSON: {@code shape}, [values] or [channels, height, width]
     */
    public static String graphOutputShape(long graph, String images, String vertex) {
        Images input = new Images(Json.parse(images));
        long[] shape = Handles.alone(graph, GraphNetwork.class, g -> g.outputShape(input, vertex));
        return Json.write(Map.of("shape", shape));
    }

    /**
     * Runs a graph up to a vertex over images.
     *
     * @param graph handle
     * @param images JSON, see {@link org.pyimgret.nn.Images}
     * @param vertex its name
     * @param batchSize pictures at a time
     * @param out address of count x width float32
     * @param width values that the vertex gives for a picture
     */
    public static void activateGraph(long graph, String images, String vertex, int batchSize, long out, long width) {
        Images input = new Images(Json.parse(images));
        if (!get(graph, g -> g.activate(input, vertex, out, width))) {
            change(graph, g -> g.activateAlone(input, vertex, batchSize, out, width));
        }
    }

    /**
     * Prepares training of a graph with one input and one output.
     *
     * @param graph handle
     * @param settings JSON, see {@link Trainer}
     * @return the handle of a trainer like any other
     */
    public static long createGraphTrainer(long graph, String settings) {
        return Handles.put(graph, GraphNetwork.class, g -> new Trainer(g.stored(), Json.parse(settings)));
    }

    /**
     * Gives the network itself to those who script Deeplearning4j.
     *
     * @param graph handle
     * @return the network
     */
    public static ComputationGraph javaGraph(long graph) {
        return get(graph, g -> {
            CompiledNetworks.handedOut(g.stored());
            return g.stored();
        });
    }

    private static <R> R get(long graph, Handles.Function<GraphNetwork, R, RuntimeException> use) {
        return Handles.shared(graph, GraphNetwork.class, use);
    }

    private static void change(long graph, Handles.Action<GraphNetwork, RuntimeException> use) {
        Handles.change(graph, GraphNetwork.class, use);
    }
}
