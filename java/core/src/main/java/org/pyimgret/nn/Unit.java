package org.pyimgret.nn;

import java.util.Locale;

/**
 * The kinds of units of a restricted Boltzmann machine: what they do with their input.
 *
 * <p>The loops are plain arithmetic on arrays, so that the compiler makes vector instructions of
 * them; they are run a row at a time, while it is in the cache.
 */
enum Unit {
    /** On with probability sigmoid(x). */
    BERNOULLI {
        @Override
        void mean(float[] x, int n) {
            Sigmoid.apply(x, n);
        }

        @Override
        void sample(float[] x, float[] out, int n, long seed, int first) {
            RandomSamples.bernoulli(x, out, n, seed, first);
        }

        @Override
        double energy(double x) {
            return softplus(x);
        }
    },

    /** Normal with mean x and variance 1. */
    GAUSSIAN {
        @Override
        void mean(float[] x, int n) {}

        @Override
        void sample(float[] x, float[] out, int n, long seed, int first) {
            RandomSamples.normal(out, n, seed, first);
            for (int i = 0; i < n; i++) {
                out[i] += x[i];
            }
        }

        @Override
        double energy(double x) {
            return x * x / 2;
        }
    },

    /**
     * Noisy rectified linear: max(0, x + N(0, sigmoid(x))), which stands for endlessly many
     * Bernoulli units with biases lower by 0.5, 1.5, … (Nair and Hinton 2010).
     */
    RELU {
        @Override
        void mean(float[] x, int n) {
            for (int i = 0; i < n; i++) {
                x[i] = Math.max(0f, x[i]);
            }
        }

        @Override
        void sample(float[] x, float[] out, int n, long seed, int first) {
            RandomSamples.normal(out, n, seed, first);
            for (int i = 0; i < n; i++) {
                double deviation = Math.sqrt(1 / (1 + Math.exp(-x[i])));
                out[i] = (float) Math.max(0, x[i] + deviation * out[i]);
            }
        }

        @Override
        double energy(double x) {
            double sum = 0;
            for (double copy = x - 0.5; copy > -NOTHING; copy--) {
                sum += softplus(copy);
            }
            return sum;
        }
    };

    /** softplus(-NOTHING) no longer counts. */
    private static final double NOTHING = 24;

    /** Turns inputs into means, in place. */
    abstract void mean(float[] x, int n);

    /**
     * Draws states.
     *
     * @param x means, or inputs where {@link #drawsFromInput}
     * @param out the states
     * @param n how many
     * @param seed of this row
     * @param first the number of the first unit: the draw belongs to it, not to the thread
     */
    abstract void sample(float[] x, float[] out, int n, long seed, int first);

    /** What a hidden unit with input x adds to minus the free energy. */
    abstract double energy(double x);

    /** Whether states are drawn from inputs, and are the statistic as well, for want of a mean. */
    boolean drawsFromInput() {
        return this == RELU;
    }

    /** Finds a kind by its name in settings. */
    static Unit of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    private static double softplus(double x) {
        return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    }
}
