package org.pyimgret.encoder;

/** Pillow's filters: a weight for every distance, zero beyond the support. */
enum ResizeFilter {
    NEAREST(0) {
        @Override
        double weight(double x) {
            throw new UnsupportedOperationException("nearest has no weights");
        }
    },
    BOX(0.5) {
        @Override
        double weight(double x) {
            return x > -0.5 && x <= 0.5 ? 1 : 0;
        }
    },
    BILINEAR(1) {
        @Override
        double weight(double x) {
            return Math.max(0, 1 - Math.abs(x));
        }
    },
    HAMMING(1) {
        @Override
        double weight(double x) {
            double distance = Math.abs(x);
            // NB: single-precision constants, as in Pillow.
            return distance >= 1 ? 0 : sinc(distance) * (0.54f + 0.46f * Math.cos(distance * Math.PI));
        }
    },
    BICUBIC(2) {
        @Override
        double weight(double x) {
            double d = Math.abs(x);
            if (d < 1) {
                return ((-0.5 + 2) * d - (-0.5 + 3)) * d * d + 1;
            }
            return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
        }
    },
    LANCZOS(3) {
        @Override
        double weight(double x) {
            return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
        }
    };

    final double support;

    ResizeFilter(double support) {
        this.support = support;
    }

    abstract double weight(double x);

    private static double sinc(double x) {
        double angle = x * Math.PI;
        return x == 0 ? 1 : Math.sin(angle) / angle;
    }
}
