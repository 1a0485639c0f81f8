package org.pyimgret.encoder;

import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * A way through a network by Deeplearning4j, which keeps state while it runs; for one thread at a
 * time, in memory that is used again.
 */
final class ModelPass implements AutoCloseable {

    private final ModelDescription description;
    private final UnaryOperator<INDArray> network;
    private final int size;
    private float[] rows = {};
    private INDArray input;

    /**
     * Makes a pass without memory yet.
     *
     * @param network gives the codes of a batch; a replica that nobody else uses
     */
    ModelPass(ModelDescription description, UnaryOperator<INDArray> network) {
        this.description = description;
        this.network = network;
        size = description.height * description.width * description.channels;
    }

    /** Gives the codes of prepared images, (height, width, channels) each, one after the other. */
    float[] codes(List<float[]> tensors) {
        int count = tensors.size();
        makeRoom(count);
        for (int i = 0; i < count; i++) {
            arrange(tensors.get(i), i * size);
        }
        // NB: setData copies number by number, through several calls each.
        new FloatPointer(input.data().addressPointer()).put(rows, 0, count * size);
        INDArray some = input.get(NDArrayIndex.interval(0, (long) count * size));
        try (INDArray codes = network.apply(some.reshape(shape(count)))) {
            return flat(codes);
        }
    }

    private void makeRoom(int count) {
        int length = Math.multiplyExact(count, size);
        if (rows.length < length) {
            close();
            rows = new float[length];
            input = Nd4j.createUninitializedDetached(DataType.FLOAT, rows.length);
        }
    }

    private static float[] flat(INDArray codes) {
        try (INDArray copy = codes.dup('c')) {
            return copy.data().asFloat();
        }
    }

    private long[] shape(long count) {
        long height = description.height;
        long width = description.width;
        long channels = description.channels;
        switch (description.layout) {
            case CONVOLUTIONAL:
                return new long[] {count, channels, height, width};
            case RECURRENT:
                return new long[] {count, width * channels, height};
            default:
                return new long[] {count, height * width * channels};
        }
    }

    /** Lays an image out as the network wants it: pixels, channels or lines apart. */
    private void arrange(float[] tensor, int at) {
        boolean asItIs = description.layout == ModelDescription.Layout.DENSE;
        boolean maps = description.layout == ModelDescription.Layout.CONVOLUTIONAL;
        if (asItIs || maps && description.channels == 1) {
            System.arraycopy(tensor, 0, rows, at, tensor.length);
            return;
        }
        int outer = maps ? description.height * description.width : description.height;
        int inner = tensor.length / outer;
        for (int o = 0; o < outer; o++) {
            for (int i = 0; i < inner; i++) {
                rows[at + i * outer + o] = tensor[o * inner + i];
            }
        }
    }

    @Override
    public void close() {
        rows = new float[0];
        if (input != null) {
            input.close();
            input = null;
        }
    }
}
