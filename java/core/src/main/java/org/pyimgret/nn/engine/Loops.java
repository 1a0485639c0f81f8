package org.pyimgret.nn.engine;

/** Small loops over arrays, each of a shape that JIT compilers turn into vector instructions. */
final class Loops {

    private Loops() {}

    static void add(float[] sum, float[] x, int n) {
        for (int i = 0; i < n; i++) {
            sum[i] += x[i];
        }
    }

    static void multiply(float[] x, float[] factor, int n) {
        for (int i = 0; i < n; i++) {
            x[i] *= factor[i];
        }
    }

    static void addProducts(float[] sum, float[] x, float[] y, int n) {
        for (int i = 0; i < n; i++) {
            sum[i] += x[i] * y[i];
        }
    }

    static void addSquares(float[] sum, float[] x, float[] mean, int n) {
        for (int i = 0; i < n; i++) {
            float difference = x[i] - mean[i];
            sum[i] += difference * difference;
        }
    }

    static void scale(float[] x, float factor, int n) {
        for (int i = 0; i < n; i++) {
            x[i] *= factor;
        }
    }

    static void standardise(float[] x, float[] mean, float[] inverse, int n) {
        for (int i = 0; i < n; i++) {
            x[i] = (x[i] - mean[i]) * inverse[i];
        }
    }

    static void affine(float[] x, float[] factor, float[] term, int n) {
        for (int i = 0; i < n; i++) {
            x[i] = x[i] * factor[i] + term[i];
        }
    }

    /** d = factor (d - shift - x slope), the gradient through a normalisation. */
    static void unstandardise(float[] d, float[] x, float[] factor, float[] shift, float[] slope, int n) {
        for (int i = 0; i < n; i++) {
            d[i] = factor[i] * (d[i] - shift[i] - x[i] * slope[i]);
        }
    }
}
