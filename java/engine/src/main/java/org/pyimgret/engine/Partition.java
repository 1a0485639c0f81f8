package org.pyimgret.engine;

/**
 * How the work of a node on one image is divided among workers, and what each needs of the inputs.
 *
 * <p>Feature maps lie as (height, width, channels), so that some rows, or some pixels, are one piece
 * of memory. Convolutions with windows are divided by rows, those without by pixels, inner products
 * by their outputs; what is too small to divide is the first worker's.
 */
final class Partition {

    /** Outputs of an inner product that stay together: a vector register's. */
    private static final int LANES = 16;

    private final int parts;

    Partition(int parts) {
        this.parts = parts;
    }

    /** Gives the numbers of its result that a worker computes. */
    Range output(Node node, int part) {
        Shape shape = node.shape;
        Range all = new Range(0, shape.size());
        if (parts == 1) {
            return all;
        }
        Operation operation = node.operation;
        if (operation instanceof Operation.InnerProduct) {
            int blocks = (shape.channels + LANES - 1) / LANES;
            return new Range(share(blocks, part) * LANES, Math.min(shape.channels, share(blocks, part + 1) * LANES));
        }
        if (window(operation) != null) {
            int row = shape.width * shape.channels;
            return new Range(share(shape.height, part) * row, share(shape.height, part + 1) * row);
        }
        if (pointwise(operation) && !shape.vector) {
            int pixels = shape.pixels();
            return new Range(share(pixels, part) * shape.channels, share(pixels, part + 1) * shape.channels);
        }
        return part == 0 ? all : new Range(0, 0);
    }

    private int share(int count, int part) {
        return (int) ((long) count * part / parts);
    }

    /** Gives the numbers of an input that some of the result need. */
    Range input(Node node, int number, Range output) {
        Shape in = node.inputs.get(number).shape;
        if (output.isEmpty()) {
            return new Range(0, 0);
        }
        if (parts == 1) {
            // NB: also rows that no window looks at: the next image begins behind them.
            return new Range(0, in.size());
        }
        if (number > 0 && node.operation instanceof Operation.Weighted) {
            return output;
        }
        Window window = window(node.operation);
        if (window != null) {
            int row = node.shape.width * node.shape.channels;
            int first = output.from / row * window.strideHeight - window.paddingTop(in.height);
            int last = (output.to / row - 1) * window.strideHeight - window.paddingTop(in.height);
            int inRow = in.width * in.channels;
            return new Range(Math.max(0, first) * inRow, Math.min(in.height, last + window.spanHeight()) * inRow);
        }
        if (pointwise(node.operation) && !in.vector) {
            int channels = node.shape.channels;
            return new Range(output.from / channels * in.channels, output.to / channels * in.channels);
        }
        return new Range(0, in.size());
    }

    /** The windows of an operation that looks at more than one pixel, or null. */
    private static Window window(Operation operation) {
        if (operation instanceof Operation.Pooling) {
            return ((Operation.Pooling) operation).window;
        }
        if (operation instanceof Operation.Convolution) {
            Window window = ((Operation.Convolution) operation).window;
            return window.pointwise() ? null : window;
        }
        return null;
    }

    /** Whether a pixel of the result follows from the same pixel of the inputs. */
    private static boolean pointwise(Operation operation) {
        return operation instanceof Operation.Convolution
                || operation instanceof Operation.Activation
                || operation instanceof Operation.Add
                || operation instanceof Operation.Convert
                || operation instanceof Operation.Normalization
                || operation instanceof Operation.Concatenation
                || operation instanceof Operation.LocalResponseNormalization;
    }
}
