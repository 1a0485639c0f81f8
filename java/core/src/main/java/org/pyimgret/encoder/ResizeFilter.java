package org.pyimgret.encoder;

import java.util.function.DoubleUnaryOperator;

/** Pillow's filters: a weight for every distance, zero beyond the support. */
enum ResizeFilter {
    NEAREST(0, x -> {
        throw new UnsupportedOperationException("nearest has no weights");
    }),
    BOX(0.5, x -> x > -0.5 && x <= 0.5 ? 1 : 0),
    BILINEAR(1, x -> Math.max(0, 1 - Math.abs(x))),
    HAMMING(1, x -> {
        double d = Math.abs(x);
        // NB: single-precision constants, as in Pillow.
        return d >= 1 ? 0 : sinc(d) * (0.54f + 0.46f * Math.cos(d * Math.PI));
    }),
    BICUBIC(2, x -> {
        double d = Math.abs(x);
        if (d < 1) {
            return ((-0.5 + 2) * d - (-0.5 + 3)) * d * d + 1;
        }
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
    }),
    LANCZOS(3, x -> -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0);

    final double support;
    private final DoubleUnaryOperator weight;

    ResizeFilter(double support, DoubleUnaryOperator weight) {
        this.support = support;
        this.weight = weight;
    }

    double weight(double x) {
        return weight.applyAsDouble(x);
    }

    private static double sinc(double x) {
        double angle = x * Math.PI;
        return x == 0 ? 1 : Math.sin(angle) / angle;
    }
}
