package org.pyimgret.nn.engine;

import java.util.Arrays;

/**
 * A block in training: what it keeps between the two passes, and the passes for a share of columns.
 *
 * <p>A column's bias, normalisation and activation need nothing of other columns, so that a thread
 * goes through all of it alone, on values that its own product has just written.
 */
final class Stage implements AutoCloseable {

    final Block block;
    private final Matrix parameters;
    private final Matrix values;
    private final Normalisation normalisation;
    private final Matrix kept;
    private final float[][] x;
    private final float[][] y;
    private final float[][] bias;

    Stage(Block block, Matrix parameters, int rows, int threads) {
        this.block = block;
        this.parameters = parameters;
        values = Matrix.allocate(rows, block.outputs, threads);
        normalisation = block.normalised() ? new Normalisation(block, parameters, values, rows, threads) : null;
        kept = block.kept < 1 ? Matrix.allocate(rows, block.outputs, threads) : null;
        x = new float[threads][block.outputs];
        y = new float[threads][block.outputs];
        bias = new float[threads][block.outputs];
    }

    /** What the next block reads. */
    Matrix result() {
        return kept == null ? activated() : kept;
    }

    private Matrix activated() {
        return normalisation == null ? values : normalisation.result;
    }

    /** Computes columns of the result; {@code raw} leaves the activation to the loss. */
    void forward(int t, Matrix input, int rows, int from, int to, boolean raw, int seed) {
        Gemm.forward(t, input, parameters, block.weights, values, rows, from, to);
        Squash squash = raw ? Squash.IDENTITY : block.inner;
        if (block.bias >= 0 || squash != Squash.IDENTITY) {
            squash(t, squash, rows, from, to - from);
        }
        if (normalisation != null) {
            normalisation.forward(t, values, rows, from, to - from);
        }
        if (kept != null) {
            drop(t, activated(), kept, rows, from, to - from, seed);
        }
    }

    private void drop(int t, Matrix in, Matrix out, int rows, int from, int n, int seed) {
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            in.read(t, at, x[t], n);
            Dropped.apply(x[t], n, seed, at, block.kept);
            out.write(t, at, x[t], n);
        }
    }

    private void squash(int t, Squash squash, int rows, int from, int n) {
        float[] row = x[t];
        Arrays.fill(bias[t], 0, n, 0f);
        if (block.bias >= 0) {
            parameters.read(t, block.bias + from, bias[t], n);
        }
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            values.read(t, at, row, n);
            Loops.add(row, bias[t], n);
            squash.apply(row, n);
            values.write(t, at, row, n);
        }
    }

    /** Replaces the gradient of the result by that of the product; {@code raw}: the loss began there. */
    void backward(int t, Matrix d, int rows, int from, int to, boolean raw, int seed) {
        if (kept != null) {
            drop(t, d, d, rows, from, to - from, seed);
        }
        if (normalisation != null) {
            normalisation.backward(t, d, rows, from, to - from);
        }
        Squash squash = raw ? Squash.IDENTITY : block.inner;
        if (block.bias >= 0 || squash != Squash.IDENTITY) {
            derive(t, d, squash, rows, from, to - from);
        }
    }

    private void derive(int t, Matrix d, Squash squash, int rows, int from, int n) {
        float[] row = x[t];
        Arrays.fill(bias[t], 0, n, 0f);
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            d.read(t, at, row, n);
            if (squash != Squash.IDENTITY) {
                values.read(t, at, y[t], n);
                squash.derive(row, y[t], n);
                d.write(t, at, row, n);
            }
            Loops.add(bias[t], row, n);
        }
        Loops.scale(bias[t], 1f / rows, n);
    }

    /** Steps along the gradients of a share of units. */
    void step(int t, Updates updates, Matrix gradient, int from, int to) {
        int inputs = block.inputs;
        updates.step(t, block.weights + from * inputs, gradient, (to - from) * inputs, block);
        if (block.bias >= 0) {
            updates.step(t, block.bias + from, bias[t], to - from);
        }
        if (normalisation != null) {
            normalisation.step(t, updates, from, to - from);
        }
    }

    @Override
    public void close() {
        values.close();
        if (normalisation != null) {
            normalisation.close();
        }
        if (kept != null) {
            kept.close();
        }
    }
}
