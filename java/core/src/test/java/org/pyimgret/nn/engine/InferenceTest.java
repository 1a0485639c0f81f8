package org.pyimgret.nn.engine;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.BytePointer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.encoder.ModelFile;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.NetworkFactory;

/** The short path of encoding against Deeplearning4j's own. */
class InferenceTest {

    private static final String SETTINGS =
            "{'seed': 5, 'input': {'kind': 'dense', 'size': 30}, 'updater': {'type': 'adam'}, 'layers': ["
                    + "{'type': 'Dense', 'n_out': 41, 'bias': false}, {'type': 'BatchNormalization'},"
                    + "{'type': 'Activation', 'activation': 'relu'},"
                    + "{'type': 'Dense', 'n_out': 7, 'activation': 'tanh'}, {'type': 'BatchNormalization'},"
                    + "{'type': 'Dense', 'n_out': 17, 'activation': 'sigmoid'},"
                    + "{'type': 'Output', 'n_out': 9, 'activation': 'softmax', 'loss': 'categorical_cross_entropy'}]}";

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 383, 1000})
    void givesWhatEveryLayerGives(int rows) {
        MultiLayerNetwork network = network();
        INDArray x = Nd4j.rand(new long[] {rows, 30});
        for (int to : new int[] {0, 1, 2, 4, 6}) {
            INDArray expected = network.feedForwardToLayer(to, x, false).get(to + 1);
            assertClose(expected, run(network, 0, to, x));
        }
        INDArray code = network.feedForwardToLayer(4, x, false).get(5);
        assertClose(network.output(x, false), run(network, 5, 6, code));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 31, 32, 33})
    void fewRowsOfAWideNetworkGoThroughSomeUnitsAtATime(int rows) {
        MultiLayerNetwork network = network(1201);
        INDArray x = Nd4j.rand(new long[] {rows, 1201});
        for (int to : new int[] {0, 6}) {
            assertClose(network.feedForwardToLayer(to, x, false).get(to + 1), run(network, 0, to, x));
        }
    }

    /** Runs layers on rows, which are pictures of (height, width, channels) where their sizes are given. */
    static INDArray run(MultiLayerNetwork network, int from, int to, INDArray input, int... picture) {
        Inference inference = Inference.of(network, from, to, picture).orElseThrow();
        float[] values = input.dup('c').data().asFloat();
        int n = (int) input.size(1);
        Inference.Source source = (first, count, out) -> System.arraycopy(values, (int) first * n, out, 0, count * n);
        INDArray out = Nd4j.createUninitialized(new long[] {input.size(0), inference.width()}, 'c');
        inference.run(() -> source, input.size(0), out.data().address());
        return out;
    }

    @Test
    void aloneGivesTheSameAgainAndAgain() {
        MultiLayerNetwork network = network();
        try (Solo solo = Inference.of(network, 0, 6).orElseThrow().solo()) {
            for (int rows : new int[] {400, 1, 193}) {
                INDArray x = Nd4j.rand(new long[] {rows, 30});
                float[] values = x.dup('c').data().asFloat();
                Inference.Source source =
                        (first, count, out) -> System.arraycopy(values, (int) first * 30, out, 0, count * 30);
                assertClose(network.output(x, false), Nd4j.createFromArray(solo.run(source, rows)).reshape(rows, 9));
            }
        }
    }

    @Test
    void endsBetweenTwoPiecesWhenTheCallerStopsIt() {
        MultiLayerNetwork network = network();
        Inference inference = Inference.of(network, 0, 6).orElseThrow();
        AtomicLong read = new AtomicLong();
        try (BytePointer flag = new BytePointer(new byte[1])) {
            StopFlag.watch(flag.address());
            Inference.Source source =
                    (first, count, out) -> {
                        read.addAndGet(count);
                        flag.put(0, (byte) 1);
                    };
            INDArray out = Nd4j.createUninitialized(new long[] {100_000, inference.width()}, 'c');
            assertThrows(
                    CancellationException.class, () -> inference.run(() -> source, 100_000, out.data().address()));
            assertTrue(read.get() < 10_000, read + " rows were read");
            flag.put(0, (byte) 0);
        } finally {
            StopFlag.watch(0);
        }
    }

    @Test
    void leavesAnIncompleteBlockToDeeplearning4j() {
        assertFalse(Inference.of(network(), 1, 6).isPresent());
    }

    @Test
    void knowsARestoredNetwork(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("model.zip");
        ModelSerializer.writeModel(network(), file.toFile(), true);
        MultiLayerNetwork restored = (MultiLayerNetwork) ModelFile.open(file, true).network();
        assertTrue(Inference.of(restored, 0, 6).isPresent());
        Learner.of(restored, 10).orElseThrow().close();
        INDArray x = Nd4j.rand(new long[] {20, 30});
        assertClose(restored.output(x, false), run(restored, 0, 6, x));
    }

    private static MultiLayerNetwork network() {
        return network(30);
    }

    private static MultiLayerNetwork network(int inputs) {
        String settings = SETTINGS.replace("'size': 30", "'size': " + inputs).replace('\'', '"');
        MultiLayerNetwork network = NetworkFactory.create(Json.parse(settings));
        Nd4j.getRandom().setSeed(11);
        for (int i = 0; i < 3; i++) {
            network.fit(Nd4j.rand(new long[] {50, inputs}), Nd4j.rand(new long[] {50, 9}));
        }
        return network;
    }

    private static void assertClose(INDArray expected, INDArray got) {
        double worst = expected.sub(got).amaxNumber().doubleValue();
        assertTrue(worst < 1e-5, "the largest difference is " + worst);
    }
}
