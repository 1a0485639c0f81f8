package org.pyimgret.engine;

/** What a training program works on in one iteration, and the loss that it leaves. */
final class TrainingBatch {

    /** Address of the images, (channel, row, column), one after the other. */
    long features;

    /** Address of the rows that are wanted. */
    long labels;

    /** Of what dropout leaves out. */
    int seed;

    /** The sum over each worker's rows. */
    final double[] losses;

    TrainingBatch(int workers) {
        losses = new double[workers];
    }

    /** Some rows of what is wanted, each of {@code size} numbers. */
    FloatView labels(int first, int count, int size) {
        return new FloatView(labels + (long) first * size * Float.BYTES, (long) count * size);
    }
}
