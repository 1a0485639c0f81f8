package org.pyimgret.engine;

/** Rows and columns of zeros around the part of feature maps that some windows look at. */
final class Padding {

    static final Padding NONE = new Padding(new long[2], new long[2]);

    /** Above and to the left. */
    final long[] before;

    /** Below and to the right. */
    final long[] after;

    private Padding(long[] before, long[] after) {
        this.before = before;
        this.after = after;
    }

    /**
     * The padding of a part.
     *
     * @param input what the windows look at
     * @param output what they give
     */
    Padding(Window window, View input, View output) {
        this(new long[2], new long[2]);
        Shape in = input.value.shape;
        Shape out = output.value.shape;
        if (window.pointwise()) {
            return;
        }
        int firstRow = output.range.from / (out.width * out.channels);
        int inputRow = input.range.from / (in.width * in.channels);
        int start = firstRow * window.strideHeight - window.paddingTop(in.height);
        int end = start + (output.rows() - 1) * window.strideHeight + window.spanHeight();
        before[0] = inputRow - start;
        // Rows that are in no window may be left over; oneDNN rounds down as well.
        after[0] = Math.max(0, end - (inputRow + input.rows()));
        before[1] = window.paddingLeft(in.width);
        int right = (out.width - 1) * window.strideWidth + window.spanWidth();
        after[1] = Math.max(0, right - before[1] - in.width);
    }
}
