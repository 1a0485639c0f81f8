package org.pyimgret.nn.engine;

import java.util.Arrays;

/**
 * Batch normalisation of a share of columns, and the activation after it.
 *
 * <p>Ioffe and Szegedy (2015), algorithm 1; the averages for later move as Deeplearning4j moves them,
 * with the variance of the batch as it is (divided by n).
 */
final class Normalisation implements AutoCloseable {

    final Matrix result;
    private final Block block;
    private final Matrix parameters;
    private final Matrix standard;
    private final boolean owns;
    private final Share[] shares;

    /** What one thread keeps for its columns. */
    private static final class Share {
        final float[] x;
        final float[] y;
        final float[] mean;
        final float[] inverse;
        final float[] gamma;
        final float[] beta;

        Share(int n) {
            x = new float[n];
            y = new float[n];
            mean = new float[n];
            inverse = new float[n];
            gamma = new float[n];
            beta = new float[n];
        }
    }

    /** Normalises {@code values}, which are overwritten where the backward pass can do without them. */
    Normalisation(Block block, Matrix parameters, Matrix values, int rows, int threads) {
        this.block = block;
        this.parameters = parameters;
        result = Matrix.allocate(rows, block.outputs, threads);
        owns = block.inner != Squash.IDENTITY;
        standard = owns ? Matrix.allocate(rows, block.outputs, threads) : values;
        shares = new Share[threads];
        Arrays.setAll(shares, t -> new Share(block.outputs));
    }

    void forward(int t, Matrix values, int rows, int from, int n) {
        Share s = shares[t];
        moments(t, values, rows, from, n);
        average(t, block, parameters, block.mean() + from, s.mean, s.x, n);
        average(t, block, parameters, block.variance() + from, s.inverse, s.x, n);
        for (int i = 0; i < n; i++) {
            s.inverse[i] = (float) (1 / Math.sqrt(s.inverse[i] + block.epsilon));
        }
        parameters.read(t, block.scale + from, s.gamma, n);
        parameters.read(t, block.shift() + from, s.beta, n);
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            values.read(t, at, s.x, n);
            Loops.standardise(s.x, s.mean, s.inverse, n);
            standard.write(t, at, s.x, n);
            Loops.affine(s.x, s.gamma, s.beta, n);
            block.outer.apply(s.x, n);
            result.write(t, at, s.x, n);
        }
    }

    /** Leaves the variance where the inverse deviation will be. */
    private void moments(int t, Matrix values, int rows, int from, int n) {
        Share s = shares[t];
        Arrays.fill(s.mean, 0, n, 0f);
        Arrays.fill(s.inverse, 0, n, 0f);
        for (int r = 0; r < rows; r++) {
            values.read(t, r * block.outputs + from, s.x, n);
            Loops.add(s.mean, s.x, n);
        }
        Loops.scale(s.mean, 1f / rows, n);
        for (int r = 0; r < rows; r++) {
            values.read(t, r * block.outputs + from, s.x, n);
            Loops.addSquares(s.inverse, s.x, s.mean, n);
        }
        Loops.scale(s.inverse, 1f / rows, n);
    }

    /** Moves an average towards what a batch has, by the rest that the decay leaves. */
    static void average(int t, Block block, Matrix parameters, int place, float[] batch, float[] running, int n) {
        float rest = (float) (1 - block.decay);
        parameters.read(t, place, running, n);
        for (int i = 0; i < n; i++) {
            running[i] -= rest * (running[i] - batch[i]);
        }
        parameters.write(t, place, running, n);
    }

    /** Replaces the gradient of the result by that of what was normalised; leaves its means for the step. */
    void backward(int t, Matrix d, int rows, int from, int n) {
        Share s = shares[t];
        // NB: from here to the step, means and shifts hold the gradients of scale and shift.
        float[] slope = s.mean;
        float[] shift = s.beta;
        sums(t, d, rows, from, n, slope, shift);
        Loops.scale(slope, 1f / rows, n);
        Loops.scale(shift, 1f / rows, n);
        for (int i = 0; i < n; i++) {
            s.inverse[i] *= s.gamma[i];
        }
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            d.read(t, at, s.x, n);
            standard.read(t, at, s.y, n);
            Loops.unstandardise(s.x, s.y, s.inverse, shift, slope, n);
            d.write(t, at, s.x, n);
        }
    }

    private void sums(int t, Matrix d, int rows, int from, int n, float[] slope, float[] shift) {
        Share s = shares[t];
        Arrays.fill(slope, 0, n, 0f);
        Arrays.fill(shift, 0, n, 0f);
        for (int r = 0; r < rows; r++) {
            int at = r * block.outputs + from;
            d.read(t, at, s.x, n);
            if (block.outer != Squash.IDENTITY) {
                result.read(t, at, s.y, n);
                block.outer.derive(s.x, s.y, n);
                d.write(t, at, s.x, n);
            }
            standard.read(t, at, s.y, n);
            Loops.addProducts(slope, s.x, s.y, n);
            Loops.add(shift, s.x, n);
        }
    }

    /** Steps along the means that the backward pass left. */
    void step(int t, Updates updates, int from, int n) {
        Share s = shares[t];
        updates.step(t, block.scale + from, s.mean, n);
        updates.step(t, block.shift() + from, s.beta, n);
    }

    @Override
    public void close() {
        result.close();
        if (owns) {
            standard.close();
        }
    }
}
