package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.InferenceNetwork;
import org.pyimgret.engine.Rows;
import org.pyimgret.engine.Shape;

class CompiledNetworksTest {

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
        for (int to = 0; to < 7; to++) {
            assertClose(network.feedForwardToLayer(to, x, false).get(to + 1), run(network, 0, to, x));
        }
        INDArray code = network.feedForwardToLayer(4, x, false).get(5);
        assertClose(network.output(x, false), run(network, 5, 6, code));
    }

    @Test
    void theSameIsUsedAgainUntilTheWeightsChange() {
        MultiLayerNetwork network = network();
        MultiLayerNetwork equal = network();
        InferenceNetwork first = find(network);
        assertSame(first, find(network));
        assertFalse(first == find(equal), "the weights are the same, but not the network");
        network.params().muli(2);
        CompiledNetworks.changed(network);
        assertClose(network.output(Nd4j.ones(1, 30), false), run(network, 0, 6, Nd4j.ones(1, 30)));
        // Who still holds the old one can use it.
        first.runAlone((row, count, out) -> {}, 1, Rows.into(new float[9], 9));
        first.close();
        first.close();
        assertFalse(first.share());
    }

    @Test
    void weightsThatOthersChangeAreNoticed() {
        MultiLayerNetwork network = network();
        INDArray x = Nd4j.rand(new long[] {3, 30});
        CompiledNetworks.handedOut(network);
        assertClose(network.output(x, false), run(network, 0, 6, x));
        assertSame(find(network), find(network));
        network.params().muli(0.5);
        assertClose(network.output(x, false), run(network, 0, 6, x));
    }

    @Test
    void endsBetweenTwoBatchesWhenTheCallerStopsIt() {
        MultiLayerNetwork network = network();
        int rows = 100_000;
        try (BytePointer flag = new BytePointer(new byte[] {1});
                FloatPointer images = new FloatPointer(30L * rows);
                FloatPointer out = new FloatPointer(9L * rows)) {
            Images input = new Images(Json.parse(("{'address': " + images.address() + ", 'dtype': 'float32', 'count': "
                            + rows + ", 'height': 1, 'width': 30, 'channels': 1, 'layout': 'dense'}")
                    .replace('\'', '"')));
            out.put(9L * rows - 1, 7f);
            StopFlag.watch(flag.address());
            assertThrows(
                    CancellationException.class, () -> Activations.compute(network, input, 0, 6, out.address(), 9));
            assertEquals(7f, out.get(9L * rows - 1));
            flag.put(0, (byte) 0);
            assertTrue(Activations.compute(network, input, 0, 6, out.address(), 9));
        } finally {
            StopFlag.watch(0);
        }
    }

    @Test
    void aPropertyLeavesEverythingToDeeplearning4j() {
        System.setProperty("org.pyimgret.engine", "dl4j");
        try {
            assertTrue(CompiledNetworks.stock());
            assertEquals(Optional.empty(), CompiledNetworks.of(network(), 0, 6, Shape.vector(30)));
        } finally {
            System.clearProperty("org.pyimgret.engine");
        }
        assertFalse(CompiledNetworks.stock());
    }

    private static InferenceNetwork find(MultiLayerNetwork network) {
        return CompiledNetworks.of(network, 0, 6, Shape.vector(30)).orElseThrow();
    }

    private static INDArray run(MultiLayerNetwork network, int from, int to, INDArray input) {
        int n = (int) input.size(1);
        float[] values = input.dup('c').data().asFloat();
        Rows.Source source = (first, count, out) -> out.put(values, (int) first * n, count * n);
        try (InferenceNetwork engine =
                CompiledNetworks.of(network, from, to, Shape.vector(n)).orElseThrow()) {
            INDArray out = Nd4j.createUninitialized(new long[] {input.size(0), engine.outputSize()}, 'c');
            engine.run(() -> source, input.size(0), Rows.into(out.data().address(), engine.outputSize()));
            return out;
        }
    }

    private static MultiLayerNetwork network() {
        MultiLayerNetwork network = NetworkFactory.create(Json.parse(SETTINGS.replace('\'', '"')));
        Nd4j.getRandom().setSeed(11);
        for (int i = 0; i < 3; i++) {
            network.fit(Nd4j.rand(new long[] {50, 30}), Nd4j.rand(new long[] {50, 9}));
        }
        return network;
    }

    private static void assertClose(INDArray expected, INDArray got) {
        double worst = expected.sub(got).amaxNumber().doubleValue();
        assertTrue(worst < 1e-5, "the largest difference is " + worst);
    }
}
