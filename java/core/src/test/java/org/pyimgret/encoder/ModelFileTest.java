package org.pyimgret.encoder;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.dropout.IDropout;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

final class ModelFileTest {

    private static int runs;

    @TempDir
    Path folder;

    /** An object that runs code when it is deserialized. */
    public static final class Gadget implements Serializable {
        private static final long serialVersionUID = 1L;

        private void readObject(ObjectInputStream in) {
            runs++;
        }
    }

    /** A class that runs code when a configuration names it. */
    public static final class HostileDropout implements IDropout {
        private static final long serialVersionUID = 1L;

        public HostileDropout() {
            runs++;
        }

        @Override
        public INDArray applyDropout(
                INDArray input, INDArray result, int iteration, int epoch, LayerWorkspaceMgr manager) {
            return input;
        }

        @Override
        public INDArray backprop(INDArray output, INDArray input, int iteration, int epoch) {
            return output;
        }

        @Override
        public void clear() {}

        @Override
        public IDropout clone() {
            return this;
        }
    }

    @BeforeEach
    void forget() {
        runs = 0;
    }

    @Test
    void stackOfLayersIsRestored() throws IOException {
        MultiLayerNetwork network = dense(4, 3);
        INDArray input = Nd4j.rand(DataType.FLOAT, 5, 4);
        ModelFile file = ModelFile.open(save(network));
        assertNull(file.metadata());
        assertEquals(network.output(input), ((MultiLayerNetwork) file.network()).output(input));
    }

    @Test
    void graphIsRestored() throws IOException {
        ComputationGraph graph = new ComputationGraph(new NeuralNetConfiguration.Builder()
                .graphBuilder()
                .addInputs("image")
                .setInputTypes(InputType.convolutional(6, 6, 2))
                .addLayer("conv", new ConvolutionLayer.Builder(3, 3).nOut(4).build(), "image")
                .addLayer("code", new DenseLayer.Builder().nOut(3).build(), "conv")
                .addLayer("loss", new LossLayer.Builder(LossFunction.MSE).build(), "code")
                .setOutputs("loss")
                .build());
        graph.init();
        INDArray input = Nd4j.rand(DataType.FLOAT, 2, 2, 6, 6);
        Path path = folder.resolve("graph.zip");
        ModelSerializer.writeModel(graph, path.toFile(), true);
        ComputationGraph restored = (ComputationGraph) ModelFile.open(path).network();
        assertEquals(graph.outputSingle(input), restored.outputSingle(input));
    }

    @Test
    void trainingContinuesFromTheRestoredState() throws IOException {
        MultiLayerNetwork network = dense(4, 3);
        INDArray input = Nd4j.rand(DataType.FLOAT, 5, 4);
        INDArray target = Nd4j.rand(DataType.FLOAT, 5, 4);
        network.fit(input, target);
        Path path = save(network);
        MultiLayerNetwork restored =
                (MultiLayerNetwork) ModelFile.open(path, true).network();
        network.fit(input, target);
        restored.fit(input, target);
        assertEquals(network.params(), restored.params());
    }

    @Test
    void metadataIsReturnedUnchanged() throws IOException {
        Path path = with(save(dense(4, 3)), "pyimgret.json", "{\"kind\": \"é\"}".getBytes(UTF_8));
        assertEquals("{\"kind\": \"é\"}", ModelFile.open(path).metadata());
        assertEquals("{\"kind\": \"é\"}", ModelFile.readMetadata(path));
    }

    @Test
    void serializedObjectIsRefusedAndDoesNotRun() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(new Gadget());
        }
        refused(with(save(dense(4, 3)), "objects/label", bytes.toByteArray()), "objects/label");
        refused(with(save(dense(4, 3)), "labels.txt", bytes.toByteArray()), "labels.txt");
        Path path = with(save(dense(4, 3)), "preprocessor.bin", bytes.toByteArray());
        refused(path, "preprocessor.bin");
        assertEquals(0, runs);
        // The control: Deeplearning4j's own reader runs it.
        assertThrows(ClassCastException.class, () -> ModelSerializer.restoreMultiLayerNetwork(path.toFile()));
        assertEquals(1, runs);
    }

    @Test
    void foreignClassIsRefusedAndDoesNotRun() throws IOException {
        Path path = save(dense(4, 3));
        String field = "\"idropout\" : ";
        String dropout = field + "{\"@class\":\"" + HostileDropout.class.getName() + "\"}";
        refused(edit(path, field + "null", dropout.replace("@", "\\u0040")), "HostileDropout");
        Path hostile = edit(path, field + "null", dropout);
        refused(hostile, "HostileDropout");
        assertEquals(0, runs);
        ModelSerializer.restoreMultiLayerNetwork(hostile.toFile());
        assertTrue(runs > 0, "the control: Deeplearning4j's own reader runs it");
    }

    @Test
    void classNameIsCheckedToItsEnd() throws IOException {
        Path path = save(dense(4, 3));
        String good = "org.deeplearning4j.nn.conf.layers.DenseLayer";
        assertTrue(new String(entry(path, "configuration.json"), UTF_8).contains(good));
        for (String bad : new String[] {
            "org.deeplearning4j.nn.conf.evil.DenseLayer", "java.lang.Runtime", good + ".evil.X", "[L" + good,
        }) {
            refused(edit(path, good, bad), "names the class");
        }
    }

    @Test
    void absurdSizesAreRefused() throws IOException {
        Path path = save(dense(4, 3));
        refused(edit(path, "\"nin\" : 4", "\"nin\" : 2000000000000"), "absurd size");
        refused(edit(path, "\"nin\" : 4", "\"nin\" : 16000000, \"kernelSize\": [4000, 4000]"), "absurd");
        refused(edit(path, "\"nin\" : 4", "\"nin\" : \"4\""), "no whole number");
        refused(edit(path, "\"nin\" : 4", "\"nin\" : -4"), "weights");
        refused(edit(path, "\"nin\" : 4", "\"nin\" : 4, \"nin\" : 5"), "not JSON");
        refused(edit(path, "\"nin\" : 4", "\"nin\" : 5"), "numbers in coefficients.bin");
        String nested = "[".repeat(5_000) + "]".repeat(5_000);
        refused(edit(path, "\"nin\" : 4", "\"x\": " + nested + ", \"nin\" : 4"), "absurd depth");
    }

    @Test
    void shapeLargerThanTheFileIsRefused() throws IOException {
        Path path = save(dense(4, 3));
        byte[] weights = entry(path, "coefficients.bin");
        refused(with(path, "coefficients.bin", java.util.Arrays.copyOf(weights, 60)), "coefficients.bin");
        refused(with(path, "coefficients.bin", new byte[0]), "coefficients.bin");
        refused(with(path, "coefficients.bin", claim(1, 1L << 40)), "numbers in coefficients.bin");
        refused(with(path, "coefficients.bin", claim(1L << 40, 31)), "its shape is");
        refused(with(path, "coefficients.bin", claim(1, 31)), "damaged coefficients.bin");
    }

    @Test
    void zipBombIsRefused() throws IOException {
        refused(with(save(dense(4, 3)), "coefficients.bin", new byte[80 << 20]), "packed size");
        refused(with(save(dense(4, 3)), "pyimgret.json", new byte[40 << 20]), "bytes");
    }

    @Test
    void entryThatPointsOutsideTheZipIsRefused() throws IOException {
        for (String name : new String[] {"../escaped", "a/../../x", "/etc/x", "..\\x", "C:\\x"}) {
            refused(with(save(dense(4, 3)), name, new byte[1]), "points out of the zip");
        }
        assertFalse(Files.exists(folder.resolveSibling("escaped")));
    }

    @Test
    void fileThatIsNotAModelIsRefusedByName() throws IOException {
        Path text = Files.writeString(folder.resolve("text.zip"), "no zip");
        refused(text, "is not a model zip");
        refused(Files.createFile(folder.resolve("empty.zip")), "is not a model zip");
        Path other = zip(folder.resolve("other.zip"), Map.of("readme.txt", new byte[3]));
        refused(other, "configuration.json");
        assertThrows(NoSuchFileException.class, () -> ModelFile.open(folder.resolve("absent.zip")));
        Path path = save(dense(4, 3));
        byte[] bytes = Files.readAllBytes(path);
        for (int length = 0; length < bytes.length; length += bytes.length / 40) {
            Files.write(path, java.util.Arrays.copyOf(bytes, length));
            refused(path, "");
        }
    }

    private static void refused(Path path, String message) {
        Exception error = assertThrows(ModelFormatException.class, () -> ModelFile.open(path));
        assertTrue(error.getMessage().contains(message), error.getMessage());
        assertTrue(error.getMessage().contains(path.toString()), error.getMessage());
    }

    private static byte[] claim(long rows, long columns) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeUTF("LONG_SHAPE");
        out.writeLong(8);
        out.writeUTF("LONG");
        for (long word : new long[] {2, rows, columns, columns, 1, 8192, 1, 'c'}) {
            out.writeLong(word);
        }
        out.writeUTF("MIXED_DATA_TYPES");
        out.writeLong(columns);
        out.writeUTF("FLOAT");
        out.writeFloat(1);
        return bytes.toByteArray();
    }

    private static MultiLayerNetwork dense(int in, int code) {
        MultiLayerNetwork network = new MultiLayerNetwork(new NeuralNetConfiguration.Builder()
                .seed(123_456_789_012L)
                .updater(new Adam(1e-3))
                .list(
                        new DenseLayer.Builder().nIn(in).nOut(code).build(),
                        new OutputLayer.Builder(LossFunction.MSE)
                                .nIn(code)
                                .nOut(in)
                                .activation(Activation.SIGMOID)
                                .build())
                .build());
        network.init();
        return network;
    }

    private Path save(MultiLayerNetwork network) throws IOException {
        Path path = folder.resolve("model.zip");
        ModelSerializer.writeModel(network, path.toFile(), true);
        return path;
    }

    private Path edit(Path path, String from, String to) throws IOException {
        String json = new String(entry(path, "configuration.json"), UTF_8);
        assertTrue(json.contains(from), json);
        int at = json.indexOf(from);
        String edited = json.substring(0, at) + to + json.substring(at + from.length());
        return with(path, "configuration.json", edited.getBytes(UTF_8));
    }

    private Path with(Path path, String name, byte[] content) throws IOException {
        Map<String, byte[]> entries = entries(path);
        entries.put(name, content);
        return zip(folder.resolve("hostile.zip"), entries);
    }

    private static byte[] entry(Path path, String name) throws IOException {
        return entries(path).get(name);
    }

    private static Map<String, byte[]> entries(Path path) throws IOException {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        try (java.util.zip.ZipFile zip = new java.util.zip.ZipFile(path.toFile())) {
            for (ZipEntry entry : java.util.Collections.list(zip.entries())) {
                entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
            }
        }
        return entries;
    }

    private static Path zip(Path path, Map<String, byte[]> entries) throws IOException {
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(path))) {
            for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
                out.putNextEntry(new ZipEntry(entry.getKey()));
                out.write(entry.getValue());
            }
        }
        return path;
    }
}
