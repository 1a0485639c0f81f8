package org.pyimgret.nn;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.conf.graph.LayerVertex;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.pyimgret.engine.Memory;

/** A graph: its parameters, and what its vertices give for images. */
public final class GraphNetwork {

    private final ComputationGraph stored;

    /**
     * Takes a graph.
     *
     * @param stored channels first
     */
    public GraphNetwork(ComputationGraph stored) {
        this.stored = stored;
    }

    /**
     * Gives the graph as it is stored.
     *
     * @return channels first; training it changes what runs
     */
    public ComputationGraph stored() {
        return stored;
    }

    /**
     * Describes the graph.
     *
     * @return JSON as {@link Parameters#describe} gives it, the vertices in the order they run
     */
    public String describe() {
        List<Map<String, Object>> layers = new ArrayList<>();
        Map<String, GraphVertex> vertices = stored.getConfiguration().getVertices();
        for (int index : stored.topologicalSortOrder()) {
            String name = stored.getVertices()[index].getVertexName();
            if (vertices.containsKey(name)) {
                layers.add(vertex(layers.size(), name, vertices.get(name)));
            }
        }
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("layers", layers);
        description.put("count", stored.numParams());
        return Json.write(description);
    }

    private Map<String, Object> vertex(int index, String name, GraphVertex vertex) {
        Map<String, Object> entry = new LinkedHashMap<>();
        boolean layer = vertex instanceof LayerVertex;
        entry.put("index", index);
        entry.put("name", name);
        Object what = layer ? ((LayerVertex) vertex).getLayerConf().getLayer() : vertex;
        entry.put("type", what.getClass().getSimpleName());
        Map<String, long[]> shapes = new LinkedHashMap<>();
        if (layer) {
            stored.getLayer(name).paramTable().forEach((k, v) -> shapes.put(name + "_" + k, v.shape()));
        }
        entry.put("parameters", shapes);
        return entry;
    }

    /**
     * Gives the shape of what a vertex answers to one image.
     *
     * @param images one of its size is run
     * @param vertex its name
     * @return [values], or [channels, height, width]
     */
    public long[] outputShape(Images images, String vertex) {
        try (INDArray input = Nd4j.zeros(DataType.FLOAT, images.shape(1));
                INDArray out = run(input, vertex)) {
            long[] shape = out.shape();
            return java.util.Arrays.copyOfRange(shape, 1, shape.length);
        }
    }

    /**
     * Runs the graph up to a vertex by our own engine, where it knows all on the way.
     *
     * <p>Any number of threads may do so at once.
     *
     * @param images what goes in
     * @param vertex its name
     * @param out address of count x width float32; maps are written as (channel, line, column)
     * @param width values that the vertex gives for an image
     * @return whether it has run; if not, {@link #activateAlone} is to be used
     */
    public boolean activate(Images images, String vertex, long out, long width) {
        return Activations.run(CompiledNetworks.of(stored, vertex, images.engineShape()), images, out, width);
    }

    /**
     * Runs the graph up to a vertex by the vertices' own methods, batch by batch, which keep state in
     * them: nothing else may use the graph meanwhile.
     *
     * @param images what goes in
     * @param vertex its name
     * @param batchSize images at a time
     * @param out address of count x width float32; maps are written as (channel, line, column)
     * @param width values that the vertex gives for an image
     */
    public void activateAlone(Images images, String vertex, int batchSize, long out, long width) {
        int capacity = (int) Math.max(1, Math.min(batchSize, images.count()));
        float[] row = new float[images.size()];
        float[] rows = new float[capacity * images.size()];
        StopFlag stop = StopFlag.current();
        try (INDArray input = Nd4j.createUninitializedDetached(DataType.FLOAT, images.shape(capacity))) {
            for (long start = 0; start < images.count(); start += capacity) {
                stop.check();
                int count = (int) Math.min(capacity, images.count() - start);
                for (int i = 0; i < count; i++) {
                    images.read(start + i, row);
                    images.arrange(row, rows, i * images.size());
                }
                int length = count * images.size();
                Memory.floats(input.data().address(), length).put(rows, 0, length);
                INDArray x = count == capacity ? input : input.get(NDArrayIndex.interval(0, count));
                copy(x, vertex, count, out + start * width * Float.BYTES, width);
            }
        }
    }

    private void copy(INDArray input, String vertex, int count, long out, long width) {
        try (INDArray result = run(input, vertex);
                INDArray ordered = result.dup('c')) {
            if (ordered.length() != count * width) {
                throw new IllegalArgumentException(
                        vertex + " gives " + ordered.length() + " values, expected " + count * width);
            }
            Parameters.copy(ordered, out);
        }
    }

    private INDArray run(INDArray input, String vertex) {
        return stored.output(List.of(vertex), false, new INDArray[] {input}, null)[0];
    }
}
