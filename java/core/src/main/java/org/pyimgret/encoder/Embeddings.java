package org.pyimgret.encoder;

/** Codes of a network as vectors of length 1. */
final class Embeddings {

    private Embeddings() {}

    static float[][] normalise(float[] codes, int count, int size) {
        if (codes.length != count * size) {
            throw new IllegalStateException(
                    "the code layer gives " + codes.length / count + " numbers; pyimgret.json says " + size);
        }
        float[][] embeddings = new float[count][size];
        for (int i = 0; i < count; i++) {
            double squares = 0;
            for (int j = 0; j < size; j++) {
                squares += (double) codes[i * size + j] * codes[i * size + j];
            }
            // A code of zeros has no direction and stays as it is, as in Python.
            double length = squares > 0 ? Math.sqrt(squares) : 1;
            for (int j = 0; j < size; j++) {
                embeddings[i][j] = (float) (codes[i * size + j] / length);
            }
        }
        return embeddings;
    }
}
