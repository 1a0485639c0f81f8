package org.pyimgret.encoder;

import java.util.Arrays;

/**
 * Resizes as Pillow does, bit for bit.
 *
 * <p>A filter, stretched by the factor of a reduction, is laid over the image in two passes:
 * across and then down, unless the image grows in width and shrinks in height. The weights are
 * rounded to 22 bits after the point, sums are held in 32 bits, and each pass rounds and clips its
 * results to 8 bits.
 */
final class Resampler {

    private static final int PRECISION = 32 - 8 - 2;

    private Resampler() {}

    /** Resizes the whole image. */
    static ImageData resize(ImageData image, int width, int height, ResizeFilter filter) {
        return resize(image, width, height, filter, 0, 0, width, height);
    }

    /** Cuts a window out of the resized image; the rest of that is not computed. */
    static ImageData resize(
            ImageData image,
            int fullWidth,
            int fullHeight,
            ResizeFilter filter,
            int left,
            int top,
            int width,
            int height) {
        if (filter == ResizeFilter.NEAREST) {
            return nearest(image, fullWidth, fullHeight).crop(left, top, width, height);
        }
        // NB: each pass rounds to 8 bits, so the order matters.
        boolean downFirst = fullWidth > image.width && fullHeight < image.height;
        Weights columns = Weights.of(image.width, fullWidth, filter, left, width);
        Weights rows = Weights.of(image.height, fullHeight, filter, top, height);
        if (columns == null || downFirst) {
            return across(down(image, rows, top, height), columns, left, width, 0, height);
        }
        if (rows == null) {
            return across(image, columns, left, width, top, height);
        }
        int first = rows.start();
        ImageData needed = across(image, columns, left, width, first, rows.end() - first);
        return down(needed, rows.movedBy(-first), 0, height);
    }

    private static ImageData nearest(ImageData image, int width, int height) {
        int[] columns = nearest(image.width, width);
        int[] rows = nearest(image.height, height);
        ImageData result = new ImageData(width, height, image.channels);
        int to = 0;
        for (int row : rows) {
            for (int column : columns) {
                int from = (row * image.width + column) * image.channels;
                for (int channel = 0; channel < image.channels; channel++) {
                    result.samples[to++] = image.samples[from + channel];
                }
            }
        }
        return result;
    }

    private static int[] nearest(int from, int to) {
        int[] sources = new int[to];
        double step = (double) from / to;
        // NB: Pillow adds up the steps, with their rounding errors.
        double position = step * 0.5;
        for (int i = 0; i < to; i++) {
            sources[i] = Math.min((int) position, from - 1);
            position += step;
        }
        return sources;
    }

    /** Some rows of an image, resized across, or cut where the width stays. */
    private static ImageData across(ImageData image, Weights weights, int left, int width, int top, int height) {
        if (weights == null) {
            return image.crop(left, top, width, height);
        }
        ImageData result = new ImageData(width, height, image.channels);
        for (int y = 0; y < height; y++) {
            int from = (top + y) * image.width * image.channels;
            int to = y * width * image.channels;
            if (image.channels == 1) {
                rowOfGrey(image.samples, from, result.samples, to, weights);
            } else {
                rowOfColour(image.samples, from, result.samples, to, weights);
            }
        }
        return result;
    }

    private static void rowOfGrey(byte[] in, int from, byte[] out, int to, Weights weights) {
        for (int x = 0; x < weights.first.length; x++) {
            int[] row = weights.rows[x];
            int at = from + weights.first[x];
            int sum = 1 << PRECISION - 1;
            for (int weight : row) {
                sum += (in[at++] & 0xff) * weight;
            }
            out[to + x] = clip(sum);
        }
    }

    private static void rowOfColour(byte[] in, int from, byte[] out, int to, Weights weights) {
        for (int x = 0; x < weights.first.length; x++) {
            int[] row = weights.rows[x];
            int at = from + 3 * weights.first[x];
            int red = 1 << PRECISION - 1;
            int green = red;
            int blue = red;
            for (int weight : row) {
                red += (in[at] & 0xff) * weight;
                green += (in[at + 1] & 0xff) * weight;
                blue += (in[at + 2] & 0xff) * weight;
                at += 3;
            }
            out[to + 3 * x] = clip(red);
            out[to + 3 * x + 1] = clip(green);
            out[to + 3 * x + 2] = clip(blue);
        }
    }

    /** An image resized down, or its rows cut where the height stays. */
    private static ImageData down(ImageData image, Weights weights, int top, int height) {
        if (weights == null) {
            return image.crop(0, top, image.width, height);
        }
        int row = image.width * image.channels;
        ImageData result = new ImageData(image.width, height, image.channels);
        int[] sums = new int[row];
        for (int y = 0; y < height; y++) {
            addRows(image.samples, weights.first[y] * row, weights.rows[y], sums);
            for (int i = 0; i < row; i++) {
                result.samples[y * row + i] = clip(sums[i]);
            }
        }
        return result;
    }

    /** Sums weighted rows that follow each other, two at a time: half the traffic of the sums. */
    private static void addRows(byte[] in, int from, int[] weights, int[] sums) {
        Arrays.fill(sums, 1 << PRECISION - 1);
        int row = sums.length;
        int at = from;
        int k = 0;
        for (; k + 1 < weights.length; k += 2, at += 2 * row) {
            int upper = weights[k];
            int lower = weights[k + 1];
            for (int i = 0; i < row; i++) {
                sums[i] += (in[at + i] & 0xff) * upper + (in[at + row + i] & 0xff) * lower;
            }
        }
        for (int i = 0; k < weights.length && i < row; i++) {
            sums[i] += (in[at + i] & 0xff) * weights[k];
        }
    }

    private static byte clip(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> PRECISION));
    }

    /** For every result the first source and the weights of it and of those that follow. */
    private static final class Weights {

        final int[] first;
        final int[][] rows;

        private Weights(int[] first, int[][] rows) {
            this.first = first;
            this.rows = rows;
        }

        /** For some of the results, from {@code start} on; null where the size stays. */
        static Weights of(int from, int to, ResizeFilter filter, int start, int count) {
            if (from == to) {
                return null;
            }
            Weights weights = new Weights(new int[count], new int[count][]);
            double scale = (double) from / to;
            double stretch = Math.max(1, scale);
            double support = filter.support * stretch;
            for (int i = 0; i < count; i++) {
                double centre = (start + i + 0.5) * scale;
                int low = Math.max(0, (int) (centre - support + 0.5));
                int high = Math.min(from, (int) (centre + support + 0.5));
                weights.first[i] = low;
                weights.rows[i] = row(filter, low, high, centre, 1 / stretch);
            }
            return weights;
        }

        /** The first source that is needed. */
        int start() {
            return first[0];
        }

        /** The first source that is needed no more. */
        int end() {
            return first[first.length - 1] + rows[rows.length - 1].length;
        }

        Weights movedBy(int distance) {
            return new Weights(Arrays.stream(first).map(f -> f + distance).toArray(), rows);
        }

        private static int[] row(ResizeFilter filter, int first, int end, double centre, double shrink) {
            double[] weights = new double[end - first];
            double sum = 0;
            for (int i = 0; i < weights.length; i++) {
                weights[i] = filter.weight((i + first - centre + 0.5) * shrink);
                sum += weights[i];
            }
            int[] rounded = new int[weights.length];
            for (int i = 0; i < weights.length; i++) {
                double weight = (sum == 0 ? weights[i] : weights[i] / sum) * (1 << PRECISION);
                rounded[i] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
            }
            return rounded;
        }
    }
}
