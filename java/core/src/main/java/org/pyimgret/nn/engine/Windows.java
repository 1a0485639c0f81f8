package org.pyimgret.nn.engine;

import java.util.Arrays;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;

/**
 * The windows of a convolution, written out as rows: the convolution is then a product.
 *
 * <p>A picture lies as (height, width, channels), so that a line of a window is one piece of memory
 * (Chellapilla, Puri and Simard 2006, with the channels innermost).
 */
final class Windows {

    /** Of the picture that comes in. */
    final int height;

    final int width;
    final int channels;
    /** Of the picture that goes out. */
    final int outHeight;

    final int outWidth;
    private final int[] kernel;
    private final int[] stride;
    private final int top;
    private final int left;
    private final int paddedHeight;
    private final int paddedWidth;

    private Windows(int[] picture, int[] kernel, int[] stride, int[] out, int top, int left) {
        height = picture[0];
        width = picture[1];
        channels = picture[2];
        outHeight = out[0];
        outWidth = out[1];
        this.kernel = kernel;
        this.stride = stride;
        this.top = top;
        this.left = left;
        paddedHeight = Math.max(top + height, (outHeight - 1) * stride[0] + kernel[0]);
        paddedWidth = Math.max(left + width, (outWidth - 1) * stride[1] + kernel[1]);
    }

    /** Reads a layer that gets pictures of (height, width, channels); null where it is of another kind. */
    static Windows of(ConvolutionLayer layer, int[] picture) {
        int[] kernel = layer.getKernelSize();
        int[] stride = layer.getStride();
        boolean plain = layer.getDilation()[0] == 1 && layer.getDilation()[1] == 1;
        if (!plain || layer.getCnn2dDataFormat() != CNN2DFormat.NCHW || layer.getNIn() != picture[2]) {
            return null;
        }
        int[] out = new int[2];
        int[] before = layer.getPadding().clone();
        for (int d = 0; d < 2; d++) {
            if (layer.getConvolutionMode() == ConvolutionMode.Same) {
                out[d] = (picture[d] + stride[d] - 1) / stride[d];
                before[d] = Math.max(0, (out[d] - 1) * stride[d] + kernel[d] - picture[d]) / 2;
            } else {
                out[d] = (picture[d] + 2 * before[d] - kernel[d]) / stride[d] + 1;
            }
        }
        return out[0] < 1 || out[1] < 1 ? null : new Windows(picture, kernel, stride, out, before[0], before[1]);
    }

    /** Values in a window. */
    int size() {
        return kernel[0] * kernel[1] * channels;
    }

    /** Values in the picture that comes in. */
    int inputs() {
        return height * width * channels;
    }

    /** Windows in a picture. */
    int count() {
        return outHeight * outWidth;
    }

    /** Values in a picture with its edges. */
    int padded() {
        return paddedHeight * paddedWidth * channels;
    }

    /** Puts a picture between its edges, which are zero. */
    void pad(float[] picture, float[] padded) {
        int line = width * channels;
        if (padded() == inputs()) {
            System.arraycopy(picture, 0, padded, 0, line * height);
            return;
        }
        for (int y = 0; y < height; y++) {
            System.arraycopy(picture, y * line, padded, ((top + y) * paddedWidth + left) * channels, line);
        }
    }

    /** Takes a picture out of its edges. */
    void crop(float[] padded, float[] picture) {
        int line = width * channels;
        for (int y = 0; y < height; y++) {
            System.arraycopy(padded, ((top + y) * paddedWidth + left) * channels, picture, y * line, line);
        }
    }

    /** Writes the windows of one line of the result, each as (kernel height, kernel width, channels). */
    void gather(float[] padded, int y, float[] rows, int at) {
        int run = kernel[1] * channels;
        int to = at;
        for (int x = 0; x < outWidth; x++) {
            int from = (y * stride[0] * paddedWidth + x * stride[1]) * channels;
            for (int k = 0; k < kernel[0]; k++) {
                copy(padded, from, rows, to, run);
                from += paddedWidth * channels;
                to += run;
            }
        }
    }

    /** A call of the native copy costs more than the few values of a one-channel window. */
    private static void copy(float[] from, int f, float[] to, int t, int n) {
        if (n > 16) {
            System.arraycopy(from, f, to, t, n);
        } else {
            for (int i = 0; i < n; i++) {
                to[t + i] = from[f + i];
            }
        }
    }

    /** Adds the windows of one line to where they came from. */
    void scatter(float[] rows, int at, int y, float[] padded) {
        int run = kernel[1] * channels;
        int from = at;
        for (int x = 0; x < outWidth; x++) {
            int to = (y * stride[0] * paddedWidth + x * stride[1]) * channels;
            for (int k = 0; k < kernel[0]; k++) {
                for (int i = 0; i < run; i++) {
                    padded[to + i] += rows[from + i];
                }
                to += paddedWidth * channels;
                from += run;
            }
        }
    }

    /** Reorders one unit's weights from Deeplearning4j's (channel, line, column) to (line, column, channel). */
    void arrange(float[] theirs, float[] ours) {
        transpose(theirs, ours, channels, kernel[0] * kernel[1]);
    }

    /** Reorders one unit's weights back. */
    void restore(float[] ours, float[] theirs) {
        transpose(ours, theirs, kernel[0] * kernel[1], channels);
    }

    /** Turns [rows, columns] into [columns, rows]. */
    static void transpose(float[] from, float[] to, int rows, int columns) {
        if (rows == 1 || columns == 1) {
            System.arraycopy(from, 0, to, 0, rows * columns);
            return;
        }
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                to[c * rows + r] = from[r * columns + c];
            }
        }
    }

    /** Repeats a value for each channel over a whole picture. */
    static void tile(float[] channel, int n, float[] picture) {
        for (int i = 0; i < picture.length; i += n) {
            System.arraycopy(channel, 0, picture, i, n);
        }
    }

    /** Sums a picture over its places. */
    static void fold(float[] picture, float[] channel, int n) {
        Arrays.fill(channel, 0, n, 0f);
        for (int i = 0; i < picture.length; i += n) {
            for (int c = 0; c < n; c++) {
                channel[c] += picture[i + c];
            }
        }
    }
}
