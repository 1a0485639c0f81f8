package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.dnnl.global.dnnl;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOpsHolder;

/** oneDNN 3 beside the oneDNN 2 in ND4J's own library, in one process. */
class TwoLibrariesTest {

    private static final Shape MAPS = Shape.maps(16, 16, 8);

    @Test
    void bothGiveTheSameWhileTheyRunBesideEachOther() throws Exception {
        assertTrue(Nd4j.getEnvironment().helpersAllowed(), "ND4J's own oneDNN is off");
        assertEquals(3, dnnl.dnnl_version().major());
        MultiLayerNetwork network = Compared.network(
                InputType.convolutional(MAPS.height, MAPS.width, MAPS.channels),
                new ConvolutionLayer.Builder(3, 3).nOut(16).build());
        float[] rows = Compared.rows(4, MAPS);
        float[] expected = Compared.stock(network, rows, MAPS);
        Throwable[] failure = new Throwable[1];
        Thread stock = new Thread(() -> {
            for (int i = 0; i < 50; i++) {
                Compared.near(expected, Compared.stock(network, rows, MAPS), "2");
            }
        });
        stock.setUncaughtExceptionHandler((thread, thrown) -> failure[0] = thrown);
        stock.start();
        try (InferenceNetwork engine = InferenceNetwork.of(network, 0, 0, MAPS, Precision.FLOAT32)) {
            float[] got = new float[expected.length];
            for (int i = 0; i < 200; i++) {
                engine.run(() -> Compared.source(rows, MAPS), 4, Rows.into(got, got.length / 4));
                Compared.near(expected, got, "3");
            }
        }
        stock.join();
        assertEquals(null, failure[0]);
    }

    @Test
    void theHostsNumberOfThreadsStaysAsItWas() throws Exception {
        MultiLayerNetwork network = Compared.network(
                InputType.convolutional(MAPS.height, MAPS.width, MAPS.channels),
                new ConvolutionLayer.Builder(3, 3).nOut(16).build());
        NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(3);
        try (InferenceNetwork engine = InferenceNetwork.of(network, 0, 0, MAPS, Precision.FLOAT32)) {
            float[] rows = Compared.rows(3, MAPS);
            float[] got = new float[3 * engine.outputSize()];
            engine.run(() -> Compared.source(rows, MAPS), 3, Rows.into(got, engine.outputSize()));
            assertEquals(3, NativeOpsHolder.getInstance().getDeviceNativeOps().ompGetMaxThreads());
        } finally {
            NativeOpsHolder.getInstance()
                    .getDeviceNativeOps()
                    .setOmpNumThreads(Nd4j.getEnvironment().maxThreads());
        }
    }
}
