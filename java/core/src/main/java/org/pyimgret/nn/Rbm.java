package org.pyimgret.nn;

import static org.bytedeco.openblas.global.openblas_nolapack.CblasColMajor;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_sgemm;

import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;

/**
 * A restricted Boltzmann machine in the caller's memory: energy, units and products.
 *
 * <p>Smolensky (1986), Hinton (2002). W has a row for each hidden unit, as scikit-learn's {@code
 * components_}; that is the memory of Deeplearning4j's [visible, hidden] in 'f' order. A batch has a
 * row for each example, which BLAS, counting by columns, sees as [units, examples].
 */
final class Rbm {

    final int visible;
    final int hidden;
    final Unit visibleUnit;
    final Unit hiddenUnit;
    final FloatPointer weights;
    final FloatPointer hiddenBias;
    final FloatPointer visibleBias;

    /**
     * Sees a machine.
     *
     * @param s {@code n_visible, n_hidden, visible, hidden} (kinds of units) and the addresses {@code
     *     weights, hidden_bias, visible_bias}
     */
    Rbm(JsonNode s) {
        visible = Json.required(s, "n_visible").asInt();
        hidden = Json.required(s, "n_hidden").asInt();
        visibleUnit = Unit.of(Json.required(s, "visible").asText());
        hiddenUnit = Unit.of(Json.required(s, "hidden").asText());
        weights = floats(s, "weights", (long) visible * hidden);
        hiddenBias = floats(s, "hidden_bias", hidden);
        visibleBias = floats(s, "visible_bias", visible);
    }

    static FloatPointer floats(JsonNode s, String name, long length) {
        return Memory.floats(Json.required(s, name).asLong(), length);
    }

    /** A pointer to the values from {@code offset} on. */
    static FloatPointer from(FloatPointer pointer, long offset) {
        return new FloatPointer(pointer).position(offset);
    }

    /**
     * Multiplies for the hidden units {@code from} to {@code to}: out = v W^T, without the bias.
     *
     * @param w the weights, at the row of the first unit
     * @param v rows of visible states
     * @param out rows of hidden inputs, at the first unit
     */
    void toHidden(FloatPointer w, int units, FloatPointer v, FloatPointer out, int rows) {
        multiply(CblasTrans, units, rows, visible, w, v, visible, out, hidden);
    }

    /** Multiplies for some visible units: out = h W, without the bias. */
    void toVisible(FloatPointer w, int units, FloatPointer h, FloatPointer out, int rows) {
        multiply(CblasNoTrans, units, rows, hidden, w, h, hidden, out, visible);
    }

    private void multiply(
            int transpose,
            int units,
            int rows,
            int inner,
            FloatPointer w,
            FloatPointer in,
            int inStride,
            FloatPointer out,
            int outStride) {
        cblas_sgemm(
                CblasColMajor,
                transpose,
                CblasNoTrans,
                units,
                rows,
                inner,
                1f,
                w,
                visible,
                in,
                inStride,
                0f,
                out,
                outStride);
    }
}
