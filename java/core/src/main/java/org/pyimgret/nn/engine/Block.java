package org.pyimgret.nn.engine;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;

/**
 * One step of a network: weights, then perhaps normalisation, with an activation after each.
 *
 * <p>Places are offsets into the network's vector of parameters, -1 for what a block does not have.
 * The weights lie there as Deeplearning4j has them: all inputs of the first unit, then of the next.
 * The rows of a convolution are its windows, and pooling may follow.
 */
final class Block {

    final int inputs;
    final int outputs;
    int weights;
    int bias = -1;
    Squash inner = Squash.IDENTITY;
    int scale = -1;
    double epsilon;
    double decay;
    Squash outer = Squash.IDENTITY;
    boolean softmax;
    /** The convolution whose windows are the inputs, or null: the inputs are those of a dense layer. */
    Windows windows;
    /** Whether the pictures come in as (channels, height, width). */
    boolean planes;

    Pooling pooling;
    /** Part of the result that dropout keeps in training. */
    float kept = 1f;

    double l1;
    double l2;

    Block(int inputs, int outputs) {
        this.inputs = inputs;
        this.outputs = outputs;
    }

    /** Values of one row, or one picture, that comes in. */
    int values() {
        return windows == null ? inputs : windows.inputs();
    }

    /** Values of the result for one image. */
    int results() {
        if (windows == null) {
            return outputs;
        }
        return pooling == null ? windows.count() * outputs : pooling.outputs();
    }

    /** The (height, width, channels) of the result of a convolution. */
    int[] picture() {
        return pooling == null
                ? new int[] {windows.outHeight, windows.outWidth, outputs}
                : new int[] {pooling.outHeight, pooling.outWidth, outputs};
    }

    /** The convolutions, which come before all dense blocks. */
    static List<Block> convolutions(List<Block> blocks) {
        return blocks.stream().filter(b -> b.windows != null).collect(Collectors.toList());
    }

    /** Writes some units' weights of a convolution in the order of its windows. */
    void arrange(int t, Matrix parameters, Matrix out, int from, int to) {
        float[] theirs = new float[inputs];
        float[] ours = new float[inputs];
        for (int u = from; u < to; u++) {
            parameters.read(t, weights + u * inputs, theirs, inputs);
            windows.arrange(theirs, ours);
            out.write(t, u * inputs, ours, inputs);
        }
    }

    /** Writes a convolution's bias, zero where it has none, over a whole picture. */
    void tileBias(int t, Matrix parameters, float[] channel, float[] picture) {
        Arrays.fill(channel, 0f);
        if (bias >= 0) {
            parameters.read(t, bias, channel, outputs);
        }
        Windows.tile(channel, outputs, picture);
    }

    /** Gives the picture that goes out: pooled into {@code room}, or as it is. */
    float[] pool(float[] picture, float[] line, float[] room) {
        if (pooling == null) {
            return picture;
        }
        pooling.forward(picture, line, room);
        return room;
    }

    /** Whether only another block can follow. */
    boolean complete() {
        return pooling != null || kept < 1 || softmax;
    }

    boolean normalised() {
        return scale >= 0;
    }

    void normalise(BatchNormalization settings, int place) {
        scale = place;
        epsilon = settings.getEps();
        decay = settings.getDecay();
    }

    /** Says whether an activation can follow what the block has. */
    void squash(Squash activation) {
        if (normalised()) {
            outer = activation;
        } else {
            inner = activation;
        }
    }

    Squash last() {
        return normalised() ? outer : inner;
    }

    int shift() {
        return scale + outputs;
    }

    int mean() {
        return scale + 2 * outputs;
    }

    int variance() {
        return scale + 3 * outputs;
    }
}
