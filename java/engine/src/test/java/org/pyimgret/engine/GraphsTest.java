package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration.GraphBuilder;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.L2NormalizeVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.conf.graph.SubsetVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Graphs: additions, branches side by side, threads that share one compiled network. */
class GraphsTest {

    private static final Shape INPUT = Shape.maps(18, 14, 3);

    private static ConvolutionLayer convolution(int kernel, int stride, int outputs) {
        return new ConvolutionLayer.Builder(kernel, kernel)
                .stride(stride, stride)
                .padding(kernel / 2, kernel / 2)
                .nOut(outputs)
                .hasBias(false)
                .activation(Activation.IDENTITY)
                .build();
    }

    private static ActivationLayer relu6() {
        return new ActivationLayer.Builder().activation(Activation.RELU6).build();
    }

    private static BatchNormalization normalization() {
        return new BatchNormalization.Builder().useLogStd(false).build();
    }

    /** An inverted residual block (Sandler et al. 2018), two branches, and a head. */
    private static ComputationGraph network() {
        GraphBuilder builder = new NeuralNetConfiguration.Builder()
                .seed(2)
                .dataType(DataType.FLOAT)
                .graphBuilder()
                .addInputs("image")
                .addLayer("stem", convolution(3, 2, 8), "image")
                .addLayer("stem_n", normalization(), "stem")
                .addLayer("expand", convolution(1, 1, 24), "stem_n")
                .addLayer("expand_n", normalization(), "expand")
                .addLayer("expand_r", relu6(), "expand_n")
                .addLayer(
                        "depthwise",
                        new DepthwiseConvolution2D.Builder(3, 3).padding(1, 1).build(),
                        "expand_r")
                .addLayer("depthwise_r", relu6(), "depthwise")
                .addLayer("project", convolution(1, 1, 8), "depthwise_r")
                .addLayer("project_n", normalization(), "project")
                .addVertex("sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), "stem_n", "project_n")
                .addLayer("narrow", convolution(1, 1, 5), "sum")
                .addLayer("wide", convolution(5, 1, 3), "sum")
                .addVertex("merged", new MergeVertex(), "narrow", "sum", "wide")
                .addVertex("twice", new ElementWiseVertex(ElementWiseVertex.Op.Add), "merged", "merged")
                .addLayer("pooled", new GlobalPoolingLayer(PoolingType.AVG), "twice")
                .addVertex("unit", new L2NormalizeVertex(), "pooled")
                .addVertex("halves", new SubsetVertex(0, 3), "unit")
                .addLayer(
                        "classes",
                        new OutputLayer.Builder(LossFunction.MCXENT)
                                .nOut(6)
                                .activation(Activation.SOFTMAX)
                                .build(),
                        "pooled")
                .setOutputs("classes", "halves")
                .setInputTypes(InputType.convolutional(INPUT.height, INPUT.width, INPUT.channels));
        ComputationGraph graph = new ComputationGraph(builder.build());
        graph.init();
        Compared.shake(graph.paramTable());
        return graph;
    }

    private static float[] stock(ComputationGraph graph, float[] rows, String vertex) {
        INDArray input = Compared.array(rows, INPUT);
        return graph.feedForward(input, false).get(vertex).dup('c').data().asFloat();
    }

    @Test
    void everyVertexEqualsDeeplearning4js() throws Exception {
        ComputationGraph graph = network();
        float[] rows = Compared.rows(3, INPUT);
        for (String vertex : List.of("stem_n", "sum", "merged", "twice", "pooled", "unit", "classes")) {
            float[] expected = stock(graph, rows, vertex);
            try (InferenceNetwork engine = InferenceNetwork.of(graph, vertex, INPUT, Precision.FLOAT32)) {
                float[] got = new float[expected.length];
                engine.runAlone(Compared.source(rows, INPUT), 3, Rows.into(got, engine.outputSize()));
                Compared.near(expected, got, vertex);
            }
            Graph read = NetworkReader.read(graph, vertex, INPUT, false);
            if (!read.output().shape.vector) {
                Node flat = Node.of("flat", new Operation.Flatten(), List.of(read.output()));
                read = Graph.of(read.input(), flat);
            }
            for (int parts : new int[] {1, 2, 3, 4}) {
                float[] got = Compared.shared(Fusion.apply(read), rows, parts);
                Compared.near(expected, got, vertex + " in " + parts + " parts");
            }
        }
    }

    @Test
    void aVertexThatIsNotSupportedIsNamed() {
        UnsupportedLayerException thrown = assertThrows(
                UnsupportedLayerException.class,
                () -> InferenceNetwork.of(network(), "halves", INPUT, Precision.FLOAT32));
        assertTrue(thrown.getMessage().contains("'halves'"), thrown.getMessage());
    }

    private static double cosine(float[] a, float[] b) {
        double product = 0;
        double left = 0;
        double right = 0;
        for (int i = 0; i < a.length; i++) {
            product += (double) a[i] * b[i];
            left += (double) a[i] * a[i];
            right += (double) b[i] * b[i];
        }
        return product / Math.sqrt(left * right);
    }

    @ParameterizedTest
    @EnumSource(Precision.class)
    void lessPrecisionIsNear(Precision precision) throws Exception {
        ComputationGraph graph = network();
        float[] rows = Compared.rows(5, INPUT);
        float[] expected = stock(graph, rows, "pooled");
        float[] sample = Compared.rows(8, INPUT);
        try (InferenceNetwork engine = InferenceNetwork.of(graph, "pooled", INPUT, precision, sample)) {
            float[] got = new float[expected.length];
            engine.runAlone(Compared.source(rows, INPUT), 5, Rows.into(got, engine.outputSize()));
            assertEquals(1, cosine(expected, got), precision == Precision.INT8 ? 5e-3 : 1e-3);
            assertEquals(precision == Precision.FLOAT32, cosine(expected, got) > 1 - 1e-9);
        }
    }

    @Test
    void sharedImagesGiveTheSameInLessPrecision() throws Exception {
        float[] rows = Compared.rows(3, INPUT);
        Graph fused = Fusion.apply(NetworkReader.read(network(), "pooled", INPUT, false));
        for (Graph graph : List.of(Quantization.bfloat16(fused), Quantization.int8(fused, rows))) {
            float[] expected = Compared.shared(graph, rows, 1);
            for (int parts = 2; parts <= 4; parts++) {
                assertEquals(1, cosine(expected, Compared.shared(graph, rows, parts)), 1e-4);
            }
        }
    }

    @Test
    void anImageHasTheSameBitsHoweverManyWorkersShareIt() throws Exception {
        float[] rows = Compared.rows(3, INPUT);
        Graph graph = Fusion.apply(NetworkReader.read(network(), "classes", INPUT, false));
        float[] alone = Compared.shared(graph, rows, 1);
        for (int parts = 2; parts <= 4; parts++) {
            assertArrayEquals(alone, Compared.shared(graph, rows, parts), parts + " workers");
        }
    }

    @Test
    void aSampleThatDoesNotFitIsRefused() {
        assertThrows(
                IllegalArgumentException.class,
                () -> InferenceNetwork.of(network(), "pooled", INPUT, Precision.INT8, new float[7]));
    }

    @Test
    void threadsShareOneCompiledNetwork() throws Exception {
        ComputationGraph graph = network();
        int count = 16;
        float[] rows = Compared.rows(count, INPUT);
        float[] expected = stock(graph, rows, "pooled");
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try (InferenceNetwork engine = InferenceNetwork.of(graph, "pooled", INPUT, Precision.FLOAT32)) {
            int width = engine.outputSize();
            List<Future<float[]>> futures = new ArrayList<>();
            for (int task = 0; task < 200; task++) {
                int row = task % count;
                int some = task % 3 == 0 ? 1 : Math.min(count - row, task % 7 + 1);
                futures.add(threads.submit(() -> {
                    float[] got = new float[some * width];
                    Rows.Source source =
                            (first, n, out) -> Compared.source(rows, INPUT).read(row + first, n, out);
                    engine.run(() -> source, some, Rows.into(got, width));
                    return got;
                }));
            }
            for (int task = 0; task < futures.size(); task++) {
                float[] got = futures.get(task).get();
                int row = task % count * width;
                float[] part = java.util.Arrays.copyOfRange(expected, row, row + got.length);
                Compared.near(part, got, "task " + task);
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
