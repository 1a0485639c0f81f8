package org.pyimgret.nn;

import java.util.Arrays;
import java.util.Optional;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.workspace.ArrayType;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.memory.conf.WorkspaceConfiguration;
import org.nd4j.linalg.api.memory.enums.AllocationPolicy;
import org.nd4j.linalg.api.memory.enums.LearningPolicy;
import org.nd4j.linalg.api.memory.enums.ResetPolicy;
import org.nd4j.linalg.api.memory.enums.SpillPolicy;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.InferenceNetwork;
import org.pyimgret.engine.Memory;
import org.pyimgret.engine.Rows;

/** The output of one layer for many images, batch by batch, into the caller's memory. */
public final class Activations {

    private static final String WORKSPACE = "PYIMGRET_ACTIVATIONS";
    private static final WorkspaceConfiguration CONFIGURATION = WorkspaceConfiguration.builder()
            .initialSize(0)
            .overallocationLimit(0.05)
            .policyLearning(LearningPolicy.FIRST_LOOP)
            .policyAllocation(AllocationPolicy.STRICT)
            .policyReset(ResetPolicy.BLOCK_LEFT)
            .policySpill(SpillPolicy.REALLOCATE)
            .build();

    private Activations() {}

    /**
     * Runs the network from a layer to a layer by our own engine, where it knows all of them.
     *
     * <p>Any number of threads may do so at once.
     *
     * @param network the network
     * @param images the input of layer {@code from}
     * @param from first layer that runs
     * @param to last layer that runs
     * @param out address of count x width float32
     * @param width values that layer {@code to} gives for an image
     * @throws java.util.concurrent.CancellationException when the caller's {@link StopFlag} is raised
     * @return whether it has run; if not, {@link #computeAlone} is to be used
     */
    public static boolean compute(MultiLayerNetwork network, Images images, int from, int to, long out, long width) {
        return run(CompiledNetworks.of(network, from, to, images.engineShape()), images, out, width);
    }

    /** Runs all images on the engine, if it knows the network; says whether it did. */
    static boolean run(Optional<InferenceNetwork> compiled, Images images, long out, long width) {
        if (compiled.isEmpty()) {
            return false;
        }
        StopFlag stop = StopFlag.current();
        try (InferenceNetwork engine = compiled.get()) {
            if (engine.outputSize() != width) {
                throw new IllegalArgumentException(
                        "the layer gives " + engine.outputSize() + " values, expected " + width);
            }
            engine.run(() -> reader(images.another(), stop), images.count(), Rows.into(out, engine.outputSize()));
        }
        return true;
    }

    private static Rows.Source reader(Images images, StopFlag stop) {
        return (first, count, rows) -> {
            stop.check();
            images.readAll(first, count, rows);
        };
    }

    /**
     * Runs the network from a layer to a layer by the layers' own methods, which keep state in them:
     * nothing else may use the network meanwhile.
     *
     * @param network the network
     * @param images the input of layer {@code from}
     * @param from first layer that runs
     * @param to last layer that runs
     * @param batchSize images at a time
     * @param out address of count x width float32
     * @param width values that layer {@code to} gives for an image
     */
    public static void computeAlone(
            MultiLayerNetwork network, Images images, int from, int to, int batchSize, long out, long width) {
        StopFlag stop = StopFlag.current();
        int capacity = (int) Math.max(1, Math.min(batchSize, images.count()));
        float[] row = new float[images.size()];
        float[] rows = new float[capacity * images.size()];
        try (INDArray input = Nd4j.createUninitializedDetached(DataType.FLOAT, images.shape(capacity))) {
            for (long start = 0; start < images.count(); start += capacity) {
                stop.check();
                int count = (int) Math.min(capacity, images.count() - start);
                for (int i = 0; i < count; i++) {
                    images.read(start + i, row);
                    images.arrange(row, rows, i * images.size());
                }
                Memory.floats(input.data().address(), (long) count * images.size())
                        .put(rows, 0, count * images.size());
                INDArray x =
                        count == capacity ? input : input.get(org.nd4j.linalg.indexing.NDArrayIndex.interval(0, count));
                forward(network, x, from, to, out + start * width * Float.BYTES, width);
            }
        }
    }

    /**
     * Says how many values a layer gives for one image.
     *
     * @param network the network
     * @param shape the input's shape, the first number being 1
     * @param layer which layer
     * @return length of its output
     */
    public static long size(MultiLayerNetwork network, long[] shape, int layer) {
        try (INDArray input = Nd4j.zeros(DataType.FLOAT, shape)) {
            return run(network, input, 0, layer, LayerWorkspaceMgr.noWorkspaces())
                    .length();
        }
    }

    private static void forward(MultiLayerNetwork network, INDArray input, int from, int to, long out, long width) {
        // NB: an LSTM enters that one anew for every step, and would find the last step overwritten.
        LayerWorkspaceMgr manager = LayerWorkspaceMgr.builder()
                .noWorkspaceFor(ArrayType.RNN_FF_LOOP_WORKING_MEM)
                .defaultWorkspace(WORKSPACE, CONFIGURATION)
                .build();
        MemoryWorkspace workspace = Nd4j.getWorkspaceManager().getAndActivateWorkspace(CONFIGURATION, WORKSPACE);
        try {
            copy(run(network, input, from, to, manager), out, (int) input.size(0), width);
        } finally {
            workspace.close();
        }
    }

    private static INDArray run(
            MultiLayerNetwork network, INDArray input, int from, int to, LayerWorkspaceMgr manager) {
        INDArray x = input;
        for (int l = from; l <= to; l++) {
            InputPreProcessor change = network.getLayerWiseConfigurations().getInputPreProcess(l);
            x = change == null ? x : change.preProcess(x, (int) input.size(0), manager);
            Layer layer = network.getLayer(l);
            x = layer.activate(x, false, manager);
            layer.clear();
        }
        return x;
    }

    private static void copy(INDArray result, long out, int rows, long width) {
        if (result.length() != rows * width) {
            throw new IllegalArgumentException(
                    "the layer gives " + Arrays.toString(result.shape()) + ", expected " + rows + " x " + width);
        }
        INDArray flat = result.ordering() == 'c' && !result.isView() ? result : result.dup('c');
        Memory.floats(out, rows * width)
                .put(Memory.floats(flat.data().address() + flat.offset() * Float.BYTES, rows * width));
    }
}
