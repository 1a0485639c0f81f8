package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.nio.file.Path;
import org.bytedeco.dnnl.global.dnnl;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.activations.Activation;

/** A processor without AVX-512 gives the same; oneDNN is told so in a process of its own. */
class InstructionSetTest {

    private static final Shape INPUT = Shape.maps(24, 24, 3);

    /** Writes what the engine gives to standard output. */
    public static void main(String[] arguments) throws Exception {
        DataOutputStream out = new DataOutputStream(System.out);
        float[] results = results();
        out.writeInt(dnnl.dnnl_get_effective_cpu_isa());
        out.writeUTF(refusal());
        for (float value : results) {
            out.writeFloat(value);
        }
        out.flush();
    }

    private static float[] results() throws Exception {
        MultiLayerNetwork network = network();
        float[] rows = Compared.rows(4, INPUT);
        try (InferenceNetwork engine = InferenceNetwork.of(network, 0, 5, INPUT, Precision.FLOAT32)) {
            float[] results = new float[4 * engine.outputSize()];
            engine.runAlone(Compared.source(rows, INPUT), 4, Rows.into(results, 32));
            return results;
        }
    }

    private static String refusal() {
        try {
            float[] sample = Compared.rows(2, INPUT);
            InferenceNetwork.of(network(), 0, 5, INPUT, Precision.INT8, sample).close();
            return "";
        } catch (UnsupportedLayerException e) {
            return e.getMessage();
        }
    }

    private static MultiLayerNetwork network() {
        return Compared.network(
                InputType.convolutional(INPUT.height, INPUT.width, INPUT.channels),
                new ConvolutionLayer.Builder(3, 3)
                        .nOut(24)
                        .activation(Activation.RELU6)
                        .build(),
                new DepthwiseConvolution2D.Builder(3, 3).build(),
                new BatchNormalization.Builder().useLogStd(false).build(),
                new ConvolutionLayer.Builder(1, 1)
                        .nOut(40)
                        .activation(Activation.RELU)
                        .build(),
                new SubsamplingLayer.Builder(SubsamplingLayer.PoolingType.MAX).build(),
                new DenseLayer.Builder().nOut(32).activation(Activation.TANH).build());
    }

    @Test
    void avx2GivesTheSame() throws Exception {
        float[] here = results();
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp",
                System.getProperty("java.class.path"),
                InstructionSetTest.class.getName());
        builder.environment().put("ONEDNN_MAX_CPU_ISA", "AVX2");
        builder.redirectError(new File("target", "avx2.log"));
        Process process = builder.start();
        float[] there = new float[here.length];
        try (DataInputStream in = new DataInputStream(process.getInputStream())) {
            int instructions = in.readInt();
            if (System.getProperty("os.arch").equals("amd64")) {
                assertEquals(dnnl.dnnl_cpu_isa_avx2, instructions);
            }
            String refusal = in.readUTF();
            assertTrue(refusal.contains("VNNI"), refusal);
            for (int i = 0; i < there.length; i++) {
                there[i] = in.readFloat();
            }
        }
        assertEquals(0, process.waitFor());
        Compared.near(here, there, "AVX2");
        Compared.near(Compared.stock(network(), Compared.rows(4, INPUT), INPUT), there, "Deeplearning4j");
    }
}
