package org.pyimgret.engine;

/** The windows that a convolution or a pooling slides over feature maps. */
final class Window {

    final int kernelHeight;
    final int kernelWidth;
    final int strideHeight;
    final int strideWidth;
    final int dilationHeight;
    final int dilationWidth;

    /** Rows of padding above, and as many below unless {@link #same}. */
    private final int top;

    private final int left;
    private final boolean same;

    /**
     * Makes windows; each pair is (height, width).
     *
     * @param padding on each side; not read where {@code same}
     * @param same whether the padding is such that a window begins at every stride-th pixel
     */
    Window(int[] kernel, int[] stride, int[] padding, int[] dilation, boolean same) {
        kernelHeight = kernel[0];
        kernelWidth = kernel[1];
        strideHeight = stride[0];
        strideWidth = stride[1];
        top = padding[0];
        left = padding[1];
        dilationHeight = dilation[0];
        dilationWidth = dilation[1];
        this.same = same;
    }

    /** Rows that a window spans, with the gaps of a dilated one. */
    int spanHeight() {
        return (kernelHeight - 1) * dilationHeight + 1;
    }

    int spanWidth() {
        return (kernelWidth - 1) * dilationWidth + 1;
    }

    int outHeight(int height) {
        return out(height, spanHeight(), strideHeight, top);
    }

    int outWidth(int width) {
        return out(width, spanWidth(), strideWidth, left);
    }

    /** Rows of padding above maps of this height. */
    int paddingTop(int height) {
        return before(height, spanHeight(), strideHeight, top);
    }

    int paddingLeft(int width) {
        return before(width, spanWidth(), strideWidth, left);
    }

    private int out(int size, int span, int stride, int padding) {
        return same ? (size + stride - 1) / stride : (size + 2 * padding - span) / stride + 1;
    }

    private int before(int size, int span, int stride, int padding) {
        if (!same) {
            return padding;
        }
        return Math.max(0, (out(size, span, stride, padding) - 1) * stride + span - size) / 2;
    }

    /** Whether each result is of the one pixel at its own place. */
    boolean pointwise() {
        return kernelHeight == 1 && kernelWidth == 1 && strideHeight == 1 && strideWidth == 1 && top == 0 && left == 0;
    }

    Shape shape(Shape in, int channels) {
        if (in.vector) {
            throw new IllegalArgumentException("needs feature maps, got a vector of " + in);
        }
        return Shape.maps(outHeight(in.height), outWidth(in.width), channels);
    }
}
