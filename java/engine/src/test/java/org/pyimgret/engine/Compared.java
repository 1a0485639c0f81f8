package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Random;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Networks and inputs for tests, and what the engine and Deeplearning4j make of them. */
final class Compared {

    static final double TOLERANCE = 1e-5;

    private Compared() {}

    /** A network whose normalisations have seen data, so that their averages say something. */
    static MultiLayerNetwork network(InputType input, Layer... layers) {
        NeuralNetConfiguration.ListBuilder builder = new NeuralNetConfiguration.Builder()
                .seed(3)
                .dataType(DataType.FLOAT)
                .list();
        for (Layer layer : layers) {
            builder.layer(layer);
        }
        MultiLayerConfiguration configuration = builder.setInputType(input).build();
        MultiLayerNetwork network = new MultiLayerNetwork(configuration);
        network.init();
        shake(network.paramTable());
        return network;
    }

    /** Gives biases and normalisations numbers other than zero and one. */
    static void shake(java.util.Map<String, INDArray> parameters) {
        Random random = new Random(5);
        parameters.forEach((key, values) -> {
            String name = key.substring(key.lastIndexOf('_') + 1);
            if (name.equals("W") || name.equals("log10stdev")) {
                return;
            }
            for (long i = 0; i < values.length(); i++) {
                float value = random.nextFloat();
                values.putScalar(i, name.equals("var") ? 0.5f + value : value - 0.3f);
            }
        });
    }

    /** Rows of (height, width, channels). */
    static float[] rows(int count, Shape shape) {
        Random random = new Random(7);
        float[] rows = new float[count * shape.size()];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = (float) random.nextGaussian();
        }
        return rows;
    }

    /** The rows as Deeplearning4j wants them, channels first. */
    static INDArray array(float[] rows, Shape shape) {
        int count = rows.length / shape.size();
        INDArray array = Nd4j.createFromArray(rows);
        return shape.vector
                ? array.reshape(count, shape.channels)
                : array.reshape(count, shape.height, shape.width, shape.channels)
                        .permute(0, 3, 1, 2)
                        .dup('c');
    }

    static float[] stock(MultiLayerNetwork network, float[] rows, Shape shape) {
        return network.output(array(rows, shape), false).dup('c').data().asFloat();
    }

    /** Runs rows one by one, with each image shared by some workers. */
    static float[] shared(Graph graph, float[] rows, int parts) {
        int in = graph.input().shape.size();
        int out = graph.output().shape.size();
        float[] results = new float[rows.length / in * out];
        try (ParameterStore parameters = new ParameterStore();
                WorkerGroup group = new WorkerGroup(parts)) {
            Program[] program = new Program[1];
            OneDnn.singleThreaded(() -> program[0] = Compiler.compile(graph, 1, parts, parameters));
            Execution execution = program[0].acquire();
            for (int row = 0; row < rows.length / in; row++) {
                execution.input.put(rows, row * in, in);
                group.run(part -> OneDnn.singleThreaded(() -> execution.run(part, group::await)));
                execution.output.get(results, row * out, out);
            }
            program[0].release(execution);
            program[0].close();
        }
        return results;
    }

    /** Checks every way through the engine against Deeplearning4j. */
    static void check(MultiLayerNetwork network, Shape shape) throws Exception {
        float[] rows = rows(5, shape);
        float[] expected = stock(network, rows, shape);
        int last = network.getnLayers() - 1;
        try (InferenceNetwork engine = InferenceNetwork.of(network, 0, last, shape, Precision.FLOAT32)) {
            float[] alone = new float[expected.length];
            assertEquals(expected.length / 5, engine.outputSize());
            engine.runAlone(source(rows, shape), 5, Rows.into(alone, engine.outputSize()));
            near(expected, alone, "alone");
            float[] streams = new float[expected.length];
            engine.run(() -> source(rows, shape), 5, Rows.into(streams, engine.outputSize()));
            near(expected, streams, "streams");
        }
        Graph graph = NetworkReader.read(network, 0, last, shape, false);
        if (!graph.output().shape.vector) {
            Node flat = Node.of("flat", new Operation.Flatten(), List.of(graph.output()));
            graph = Graph.of(graph.input(), flat);
        }
        for (int parts : new int[] {1, 2, 3}) {
            near(expected, shared(graph, rows, parts), parts + " parts");
            near(expected, shared(Fusion.apply(graph), rows, parts), parts + " parts, fused");
        }
    }

    static Rows.Source source(float[] rows, Shape shape) {
        int size = shape.size();
        return (first, count, out) -> out.put(rows, (int) first * size, count * size);
    }

    static void near(float[] expected, float[] got, String what) {
        assertEquals(expected.length, got.length, what);
        double largest = 1;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < got.length; i++) {
            assertEquals(expected[i], got[i], TOLERANCE * largest, what + ", number " + i);
        }
    }
}
