package org.pyimgret.nn.engine;

import java.util.Arrays;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;

/** The largest value, or the mean, of each window of a picture that lies as (height, width, channels). */
final class Pooling {

    final int outHeight;
    final int outWidth;
    private final int width;
    private final int channels;
    private final int[] kernel;
    private final int[] stride;
    private final boolean mean;

    private Pooling(int[] picture, int[] kernel, int[] stride, boolean mean) {
        width = picture[1];
        channels = picture[2];
        outHeight = (picture[0] - kernel[0]) / stride[0] + 1;
        outWidth = (picture[1] - kernel[1]) / stride[1] + 1;
        this.kernel = kernel;
        this.stride = stride;
        this.mean = mean;
    }

    /** Reads a layer that gets pictures of (height, width, channels); null where it is of another kind. */
    static Pooling of(SubsamplingLayer layer, int[] picture) {
        int[] kernel = layer.getKernelSize();
        boolean max = layer.getPoolingType() == org.deeplearning4j.nn.conf.layers.PoolingType.MAX;
        boolean average = layer.getPoolingType() == org.deeplearning4j.nn.conf.layers.PoolingType.AVG;
        boolean plain = layer.getCnn2dDataFormat() == CNN2DFormat.NCHW
                && Arrays.equals(layer.getDilation(), new int[] {1, 1})
                && Arrays.equals(layer.getPadding(), new int[] {0, 0})
                && kernel[0] <= picture[0]
                && kernel[1] <= picture[1];
        if (!(max || average) || !plain || !inside(layer, picture)) {
            return null;
        }
        return new Pooling(picture, kernel, layer.getStride(), average);
    }

    /** Whether no window goes over the edge, where "same" would have it padded. */
    private static boolean inside(SubsamplingLayer layer, int[] picture) {
        if (layer.getConvolutionMode() != ConvolutionMode.Same) {
            return true;
        }
        for (int d = 0; d < 2; d++) {
            int out = (picture[d] + layer.getStride()[d] - 1) / layer.getStride()[d];
            if ((out - 1) * layer.getStride()[d] + layer.getKernelSize()[d] > picture[d]) {
                return false;
            }
        }
        return true;
    }

    /** Values in a picture that goes out. */
    int outputs() {
        return outHeight * outWidth * channels;
    }

    /** Pools a picture; {@code line} has room for one of its lines. */
    void forward(float[] picture, float[] line, float[] out) {
        int n = width * channels;
        for (int y = 0; y < outHeight; y++) {
            System.arraycopy(picture, y * stride[0] * n, line, 0, n);
            for (int k = 1; k < kernel[0]; k++) {
                join(line, 0, picture, (y * stride[0] + k) * n, n);
            }
            across(line, out, y * outWidth * channels);
        }
        if (mean) {
            Loops.scale(out, 1f / (kernel[0] * kernel[1]), outputs());
        }
    }

    private void across(float[] line, float[] out, int at) {
        for (int x = 0; x < outWidth; x++) {
            System.arraycopy(line, x * stride[1] * channels, out, at + x * channels, channels);
            for (int k = 1; k < kernel[1]; k++) {
                join(out, at + x * channels, line, (x * stride[1] + k) * channels, channels);
            }
        }
    }

    private void join(float[] to, int t, float[] from, int f, int n) {
        if (mean) {
            for (int i = 0; i < n; i++) {
                to[t + i] += from[f + i];
            }
        } else {
            for (int i = 0; i < n; i++) {
                to[t + i] = Math.max(to[t + i], from[f + i]);
            }
        }
    }

    /** Sends a gradient back to the first largest value of each window, or to all of it alike. */
    void backward(float[] gradient, float[] picture, float[] pooled, float[] out) {
        Arrays.fill(out, 0f);
        for (int y = 0; y < outHeight; y++) {
            for (int x = 0; x < outWidth; x++) {
                int from = (y * outWidth + x) * channels;
                int to = (y * stride[0] * width + x * stride[1]) * channels;
                for (int c = 0; c < channels; c++) {
                    if (mean) {
                        spread(gradient[from + c] / (kernel[0] * kernel[1]), to + c, out);
                    } else if (gradient[from + c] != 0f) {
                        out[first(picture, pooled[from + c], to + c)] += gradient[from + c];
                    }
                }
            }
        }
    }

    private int first(float[] picture, float value, int at) {
        for (int ky = 0; ky < kernel[0]; ky++) {
            for (int kx = 0; kx < kernel[1]; kx++) {
                int place = at + (ky * width + kx) * channels;
                if (picture[place] == value) {
                    return place;
                }
            }
        }
        // Only a value that is not a number equals none.
        return at;
    }

    private void spread(float value, int at, float[] out) {
        for (int ky = 0; ky < kernel[0]; ky++) {
            for (int kx = 0; kx < kernel[1]; kx++) {
                out[at + (ky * width + kx) * channels] += value;
            }
        }
    }
}
