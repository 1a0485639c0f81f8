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

    final Side visible;
    final Side hidden;
    final FloatPointer weights;

    /**
     * Sees a machine.
     *
     * @param s {@code n_visible, n_hidden, visible, hidden} (kinds of units) and the addresses {@code
     *     weights, hidden_bias, visible_bias}
     */
    Rbm(JsonNode s) {
        visible = new Side(s, "visible");
        hidden = new Side(s, "hidden");
        weights = floats(s, "weights", (long) visible.units * hidden.units);
    }

    static FloatPointer floats(JsonNode s, String name, long length) {
        return Memory.floats(Json.required(s, name).asLong(), length);
    }

    /** A pointer to the values from {@code offset} on. */
    static FloatPointer from(FloatPointer pointer, long offset) {
        return new FloatPointer(pointer).position(offset);
    }

    /** The visible or the hidden units. */
    final class Side {

        final int units;
        final Unit unit;

        /** Where the caller keeps the biases, and as they were at first. */
        final FloatPointer bias;

        final float[] biases;

        private Side(JsonNode s, String name) {
            units = Json.required(s, "n_" + name).asInt();
            unit = Unit.of(Json.required(s, name).asText());
            bias = floats(s, name + "_bias", units);
            biases = new float[units];
            bias.get(biases);
        }

        Side other() {
            return this == visible ? hidden : visible;
        }

        /** A pointer to the weights of the units from {@code first} on. */
        FloatPointer weights(int first) {
            return from(weights, this == hidden ? (long) first * visible.units : first);
        }

        /**
         * Multiplies for all units: v W^T for hidden, h W for visible ones, without the bias.
         *
         * @param states rows of the other side's states
         * @param out rows of the units' inputs
         */
        void inputs(FloatPointer states, FloatPointer out, int rows) {
            inputs(weights, units, states, out, rows);
        }

        /**
         * Multiplies for some units.
         *
         * @param w the weights, from the first unit on
         * @param n how many units
         * @param out rows of the units' inputs, at the first unit
         */
        void inputs(FloatPointer w, int n, FloatPointer states, FloatPointer out, int rows) {
            cblas_sgemm(
                    CblasColMajor,
                    this == hidden ? CblasTrans : CblasNoTrans,
                    CblasNoTrans,
                    n,
                    rows,
                    other().units,
                    1f,
                    w,
                    visible.units,
                    states,
                    other().units,
                    0f,
                    out,
                    units);
        }
    }
}
