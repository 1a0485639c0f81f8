package org.pyimgret.nn.engine;

/** The loss of a batch, and the signal that training begins with. */
final class Loss {

    private final Objective objective;
    private final Block block;
    private final float factor;
    private final float[] weights;
    private final double[] sums;
    private final float[][] z;
    private final float[][] target;
    private final float[][] gradient;
    private Matrix targets;
    private int rows;

    /**
     * Prepares.
     *
     * @param weights of the outputs, or null: all count alike
     */
    Loss(Objective objective, Block block, float factor, float[] weights, int threads) {
        this.weights = weights;
        this.objective = objective;
        this.block = block;
        this.factor = factor;
        sums = new double[threads];
        z = new float[threads][block.outputs];
        target = new float[threads][block.outputs];
        gradient = new float[threads][block.outputs];
    }

    void begin(Matrix wanted, int count) {
        targets = wanted;
        rows = count;
    }

    /** The mean over the rows. */
    double mean() {
        double sum = 0;
        for (double part : sums) {
            sum += part;
        }
        return sum / rows;
    }

    /** Works on a share: of rows, and after it the threads meet, for a softmax needs whole rows. */
    void compute(int t, Matrix values, Matrix signal, Crew crew) {
        sums[t] = 0;
        int n = block.outputs;
        for (int r = crew.firstRow(t, rows); r < crew.firstRow(t + 1, rows); r++) {
            values.read(t, r * n, z[t], n);
            targets.read(t, r * n, target[t], n);
            if (weights != null) {
                Loops.multiply(target[t], weights, n);
            }
            sums[t] += objective.piece(z[t], target[t], n, block.last(), gradient[t], factor);
            signal.write(t, r * n, gradient[t], n);
        }
        crew.await();
    }
}
