package org.pyimgret.nn;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration.GraphBuilder;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.L2NormalizeVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;

/**
 * Settings to a graph of stock Deeplearning4j layers.
 *
 * <p>The settings are those of {@link NetworkFactory}, with {@code vertices} in place of {@code
 * layers}: each is a layer with a {@code name} and {@code inputs} (names; "input" is the image),
 * or {@code Add}, {@code L2Normalize} or {@code Merge}; and {@code outputs}, names. The graph is channels first, as
 * training wants it; {@link GraphNetwork} runs it channels last.
 */
public final class GraphFactory {

    /** What the image is called. */
    static final String INPUT = "input";

    private GraphFactory() {}

    /**
     * Makes an initialised graph.
     *
     * @param settings see above
     * @return the graph, its weights drawn from the seed
     */
    public static ComputationGraph create(JsonNode settings) {
        long seed = Json.required(settings, "seed").asLong();
        GraphBuilder builder = new NeuralNetConfiguration.Builder()
                .seed(seed)
                .dataType(DataType.FLOAT)
                .updater(Updaters.create(Json.required(settings, "updater")))
                .graphBuilder()
                .addInputs(INPUT);
        Json.required(settings, "vertices").forEach(vertex -> add(builder, vertex));
        builder.setOutputs(names(settings, "outputs"))
                .setInputTypes(NetworkFactory.inputType(Json.required(settings, "input")));
        Nd4j.getRandom().setSeed(seed);
        ComputationGraph graph = new ComputationGraph(builder.build());
        graph.init();
        return graph;
    }

    private static void add(GraphBuilder builder, JsonNode vertex) {
        String name = Json.required(vertex, "name").asText();
        String[] inputs = names(vertex, "inputs");
        switch (Json.required(vertex, "type").asText()) {
            case "Add":
                builder.addVertex(name, new ElementWiseVertex(ElementWiseVertex.Op.Add), inputs);
                break;
            case "L2Normalize":
                builder.addVertex(name, new L2NormalizeVertex(), inputs);
                break;
            case "Merge":
                builder.addVertex(name, new MergeVertex(), inputs);
                break;
            default:
                builder.addLayer(name, LayerFactory.create(vertex), inputs);
        }
    }

    private static String[] names(JsonNode node, String field) {
        List<String> names = new ArrayList<>();
        Json.required(node, field).forEach(name -> names.add(name.asText()));
        return names.toArray(new String[0]);
    }
}
