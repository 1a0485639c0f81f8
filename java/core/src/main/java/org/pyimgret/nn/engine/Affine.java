package org.pyimgret.nn.engine;

import java.util.Arrays;

/** A normalisation by its running averages: one factor and one term for each unit. */
final class Affine {

    final float[] factor;
    final float[] term;

    /** Folds a block's normalisation; one that has none leaves its values as they are. */
    Affine(Block block, Matrix parameters) {
        int n = block.outputs;
        factor = new float[n];
        term = new float[n];
        Arrays.fill(factor, 1f);
        if (block.normalised()) {
            float[] mean = new float[n];
            float[] variance = new float[n];
            parameters.read(0, block.scale, factor, n);
            parameters.read(0, block.shift(), term, n);
            parameters.read(0, block.mean(), mean, n);
            parameters.read(0, block.variance(), variance, n);
            for (int i = 0; i < n; i++) {
                factor[i] = (float) (factor[i] / Math.sqrt(variance[i] + block.epsilon));
                term[i] -= mean[i] * factor[i];
            }
        }
    }
}
