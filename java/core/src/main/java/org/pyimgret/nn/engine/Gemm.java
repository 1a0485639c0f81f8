package org.pyimgret.nn.engine;

import static org.bytedeco.openblas.global.openblas.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas.CblasTrans;

import org.bytedeco.openblas.global.openblas;

/** The products of a layer, those of a dense one for a thread's share of columns. */
final class Gemm {

    private Gemm() {}

    /** out[:, from:to] = x W^T, the weights of a unit being a row of W at {@code place}. */
    static void forward(int t, Matrix x, Matrix weights, long place, Matrix out, int rows, int from, int to) {
        if (to > from) {
            int inputs = x.columns;
            openblas.cblas_sgemm(
                    CblasRowMajor,
                    CblasNoTrans,
                    CblasTrans,
                    rows,
                    to - from,
                    inputs,
                    1f,
                    x.at(t, 0),
                    inputs,
                    weights.at(t, place + (long) from * inputs),
                    inputs,
                    0f,
                    out.at(t, from),
                    out.columns);
        }
    }

    /** gradient = factor d[:, from:to]^T x, the gradient of the rows of W from {@code from} to {@code to}. */
    static void weights(int t, Matrix d, Matrix x, Matrix gradient, float factor, int rows, int from, int to) {
        if (to > from) {
            openblas.cblas_sgemm(
                    CblasRowMajor,
                    CblasTrans,
                    CblasNoTrans,
                    to - from,
                    x.columns,
                    rows,
                    factor,
                    d.at(t, from),
                    d.columns,
                    x.at(t, 0),
                    x.columns,
                    0f,
                    gradient.at(t, 0),
                    x.columns);
        }
    }

    /** out[:, from:to] = d W[:, from:to], the gradient of a layer's inputs. */
    static void backward(int t, Matrix d, Matrix weights, long place, Matrix out, int rows, int from, int to) {
        if (to > from) {
            openblas.cblas_sgemm(
                    CblasRowMajor,
                    CblasNoTrans,
                    CblasNoTrans,
                    rows,
                    to - from,
                    d.columns,
                    1f,
                    d.at(t, 0),
                    d.columns,
                    weights.at(t, place + from),
                    out.columns,
                    0f,
                    out.at(t, from),
                    out.columns);
        }
    }

    /** out = x W^T for all units, {@code place} being where out begins. */
    static void windows(int t, Matrix x, Matrix weights, Matrix out, long place, int rows, int units) {
        openblas.cblas_sgemm(
                CblasRowMajor,
                CblasNoTrans,
                CblasTrans,
                rows,
                units,
                x.columns,
                1f,
                x.at(t, 0),
                x.columns,
                weights.at(t, 0),
                x.columns,
                0f,
                out.at(t, place),
                units);
    }

    /** gradient += d^T x for all units. */
    static void addWeights(int t, Matrix d, Matrix x, Matrix gradient, int rows) {
        openblas.cblas_sgemm(
                CblasRowMajor,
                CblasTrans,
                CblasNoTrans,
                d.columns,
                x.columns,
                rows,
                1f,
                d.at(t, 0),
                d.columns,
                x.at(t, 0),
                x.columns,
                1f,
                gradient.at(t, 0),
                x.columns);
    }
}
