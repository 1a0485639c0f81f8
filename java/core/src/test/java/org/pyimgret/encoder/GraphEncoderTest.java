package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Graphs: run channels last where oneDNN is open, and by the mean with the mirror image. */
final class GraphEncoderTest {

    private static final Path PICTURES = Path.of("..", "..", "tests", "golden", "pictures");
    private static final String PREPROCESSING =
            "{\"mode\": \"RGB\", \"height\": 12, \"width\": 10, \"resize\": \"stretch\","
                    + " \"short_side\": null, \"filter\": \"bilinear\","
                    + " \"mean\": [0.5], \"std\": [0.25]}";

    @TempDir
    Path folder;

    @Test
    void embeddingsEqualThoseOfTheStoredGraph() throws IOException {
        for (boolean flip : new boolean[] {false, true}) {
            ComputationGraph graph = graph();
            ImagePreprocessor preprocessor = ImagePreprocessor.fromJson(PREPROCESSING);
            try (ImageEncoder encoder = ImageEncoder.builder().batchSize(7).load(save(graph, flip))) {
                assertEquals("on", encoder.oneDnn());
                List<Path> images = images();
                List<float[]> found = encoder.encodeAll(images);
                for (int i = 0; i < images.size(); i++) {
                    float[] expected = expected(graph, preprocessor.apply(images.get(i)), flip);
                    assertArrayEquals(
                            expected, found.get(i), 1e-5f, images.get(i).toString());
                    assertArrayEquals(expected, encoder.encode(images.get(i)), 1e-5f);
                }
            }
        }
    }

    private static float[] expected(ComputationGraph graph, float[] tensor, boolean flip) {
        INDArray image = Nd4j.createFromArray(tensor).reshape(1, 12, 10, 3).permute(0, 3, 1, 2);
        INDArray code = code(graph, image);
        if (flip) {
            INDArray mirrored = Nd4j.reverse(image.permute(0, 1, 3, 2).dup('c').reshape(3, 10, 12));
            // Reversing all axes turns the rows and the channels as well: turn those back.
            INDArray same = Nd4j.create(1, 3, 12, 10);
            for (int c = 0; c < 3; c++) {
                for (int y = 0; y < 12; y++) {
                    for (int x = 0; x < 10; x++) {
                        double value = mirrored.getDouble(2 - c, x, 11 - y);
                        same.putScalar(new int[] {0, c, y, x}, value);
                    }
                }
            }
            code = code.add(code(graph, same)).divi(2);
        }
        return EmbeddingNetwork.normalised(code.dup('c').data().asFloat(), 1, 8)[0];
    }

    private static INDArray code(ComputationGraph graph, INDArray image) {
        return graph.feedForward(image.dup('c'), false).get("code");
    }

    private Path save(ComputationGraph graph, boolean flip) throws IOException {
        Path path = folder.resolve("graph" + flip + ".zip");
        ModelSerializer.writeModel(graph, path.toFile(), false);
        String json = "{\"format\": 1, \"kind\": \"PretrainedNetwork\", \"code_layer\": \"code\","
                + " \"parameters\": {\"flip\": "
                + flip
                + "}, \"embedding_size\": 8,"
                + " \"normalisation\": \"l2\", \"input\": {\"kind\": \"convolutional\","
                + " \"height\": 12, \"width\": 10, \"channels\": 3},"
                + " \"preprocessing\": "
                + PREPROCESSING
                + "}";
        append(path, "pyimgret.json", json.getBytes(StandardCharsets.UTF_8));
        return path;
    }

    /** Adds an entry; by copying, because small Java runtimes lack the file system of zips. */
    private static void append(Path archive, String name, byte[] content) throws IOException {
        byte[] before = Files.readAllBytes(archive);
        try (ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(before));
                ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(archive))) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                out.putNextEntry(new ZipEntry(entry.getName()));
                in.transferTo(out);
            }
            out.putNextEntry(new ZipEntry(name));
            out.write(content);
        }
    }

    private static ComputationGraph graph() {
        ComputationGraph graph = new ComputationGraph(new NeuralNetConfiguration.Builder()
                .seed(5)
                .graphBuilder()
                .addInputs("input")
                .setInputTypes(InputType.convolutional(12, 10, 3))
                .addLayer("first", convolution(3, 8), "input")
                .addLayer("second", convolution(8, 8), "first")
                .addVertex("sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), "first", "second")
                .addLayer("code", new GlobalPoolingLayer.Builder().build(), "sum")
                .addLayer("loss", new LossLayer.Builder(LossFunction.MSE).build(), "code")
                .setOutputs("loss")
                .build());
        graph.init();
        return graph;
    }

    private static ConvolutionLayer convolution(int in, int out) {
        return new ConvolutionLayer.Builder(3, 3)
                .padding(1, 1)
                .nIn(in)
                .nOut(out)
                .activation(Activation.RELU)
                .build();
    }

    private static List<Path> images() throws IOException {
        try (Stream<Path> files = Files.list(PICTURES)) {
            return files.sorted().limit(20).collect(Collectors.toList());
        }
    }
}
