package org.pyimgret.encoder;

import java.util.Deque;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A network that Deeplearning4j itself runs.
 *
 * <p>Its networks hold state while they run, so every thread takes a replica that nobody else uses;
 * all replicas read the same weights.
 */
final class StockNetwork {

    private final ModelDescription description;
    private final Supplier<UnaryOperator<INDArray>> replica;
    private final Deque<UnaryOperator<INDArray>> idle = new ConcurrentLinkedDeque<>();

    /**
     * Takes a network.
     *
     * @param replica makes a copy, which returns the codes of a batch
     */
    StockNetwork(ModelDescription description, Supplier<UnaryOperator<INDArray>> replica) {
        this.description = description;
        this.replica = replica;
    }

    /** Returns the codes of prepared images, (height, width, channels) each, one after the other. */
    float[] codes(List<float[]> tensors) {
        UnaryOperator<INDArray> network = idle.poll();
        network = network == null ? replica.get() : network;
        try (INDArray input = Nd4j.createUninitializedDetached(DataType.FLOAT, shape(tensors.size()))) {
            float[] rows = arranged(tensors);
            // NB: setData copies number by number, through several calls each.
            new FloatPointer(input.data().addressPointer()).put(rows, 0, rows.length);
            float[] codes = flat(network.apply(input));
            // NB: not after an exception: the state of a replica is then unknown. The last one first:
            // its memory is still in a cache.
            idle.push(network);
            return codes;
        }
    }

    private static float[] flat(INDArray codes) {
        try (codes;
                INDArray copy = codes.dup('c')) {
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

    /** Arranges images as the network wants them: pixels, channels or rows apart. */
    private float[] arranged(List<float[]> tensors) {
        int size = description.inputSize();
        float[] rows = new float[Math.multiplyExact(tensors.size(), size)];
        boolean maps = description.layout == ModelDescription.Layout.CONVOLUTIONAL;
        boolean dense = description.layout == ModelDescription.Layout.DENSE;
        int outer = dense ? 1 : maps ? description.height * description.width : description.height;
        int inner = size / outer;
        for (int row = 0; row < tensors.size(); row++) {
            float[] tensor = tensors.get(row);
            for (int o = 0; o < outer; o++) {
                for (int i = 0; i < inner; i++) {
                    rows[row * size + i * outer + o] = tensor[o * inner + i];
                }
            }
        }
        return rows;
    }
}
