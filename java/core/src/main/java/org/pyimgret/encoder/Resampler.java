package org.pyimgret.encoder;

import java.util.Arrays;

/**
 * Resizes as Pillow does, bit for bit.
 *
 * <p>A filter, stretched by the factor of a reduction, is laid over the picture in two passes:
 * across and then down, unless the picture grows in width and shrinks in height. The weights are
 * rounded to 22 bits after the point, sums are kept in 32 bits, and each pass rounds and clips its
 * results to 8 bits.
 */
final class Resampler {

    private static final int PRECISION = 32 - 8 - 2;

    private Resampler() {}

    static Pixels resize(Pixels image, int width, int height, ResizeFilter filter) {
        if (image.width == width && image.height == height) {
            return image;
        }
        if (filter == ResizeFilter.NEAREST) {
            return nearest(image, width, height);
        }
        // NB: each pass rounds to 8 bits, so the order shows.
        boolean downFirst = width > image.width && height < image.height;
        return downFirst
                ? across(down(image, height, filter), width, filter)
                : down(across(image, width, filter), height, filter);
    }

    private static Pixels nearest(Pixels image, int width, int height) {
        int[] columns = nearest(image.width, width);
        int[] rows = nearest(image.height, height);
        Pixels result = new Pixels(width, height, image.channels);
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

    private static Pixels across(Pixels image, int width, ResizeFilter filter) {
        if (image.width == width) {
            return image;
        }
        Weights weights = new Weights(image.width, width, filter);
        Pixels result = new Pixels(width, image.height, image.channels);
        for (int y = 0; y < image.height; y++) {
            int from = y * image.width * image.channels;
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

    private static Pixels down(Pixels image, int height, ResizeFilter filter) {
        if (image.height == height) {
            return image;
        }
        Weights weights = new Weights(image.height, height, filter);
        int row = image.width * image.channels;
        Pixels result = new Pixels(image.width, height, image.channels);
        int[] sums = new int[row];
        for (int y = 0; y < height; y++) {
            Arrays.fill(sums, 1 << PRECISION - 1);
            int at = weights.first[y] * row;
            for (int weight : weights.rows[y]) {
                for (int i = 0; i < row; i++) {
                    sums[i] += (image.samples[at + i] & 0xff) * weight;
                }
                at += row;
            }
            for (int i = 0; i < row; i++) {
                result.samples[y * row + i] = clip(sums[i]);
            }
        }
        return result;
    }

    private static byte clip(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> PRECISION));
    }

    /** For every result the first source and the weights of it and of those that follow. */
    private static final class Weights {

        final int[] first;
        final int[][] rows;

        Weights(int from, int to, ResizeFilter filter) {
            first = new int[to];
            rows = new int[to][];
            double scale = (double) from / to;
            double stretch = Math.max(1, scale);
            double support = filter.support * stretch;
            for (int i = 0; i < to; i++) {
                double centre = (i + 0.5) * scale;
                first[i] = Math.max(0, (int) (centre - support + 0.5));
                int end = Math.min(from, (int) (centre + support + 0.5));
                rows[i] = row(filter, first[i], end, centre, 1 / stretch);
            }
        }

        private static int[] row(
                ResizeFilter filter, int first, int end, double centre, double shrink) {
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
