package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A convolution in training, with the normalisation, activation and pooling after it.
 *
 * <p>Every thread has its share of the images and goes through them alone; only the statistics of a
 * normalisation, and the sums of the gradients, are of all of them.
 */
final class MapStage implements AutoCloseable {

    final Block block;
    /** What the next layer reads: [images, height, width, channels]. */
    final Matrix result;
    /** The gradient of the result. */
    final Matrix signal;

    private final Windows windows;
    private final Matrix parameters;
    private final Matrix weights;
    private final Matrix values;
    private final MapNormalisation normalisation;
    private final List<Share> shares = new ArrayList<>();

    /** What one thread keeps. */
    private static final class Share {
        final Slider slider;
        final Matrix gradient;
        final float[] line;
        final float[] picture;
        final float[] pooled;
        final float[] outer;
        final float[] tile;
        final float[] channel;
        final float[] unit;
        final float[] theirs;

        Share(Block block, int threads) {
            int n = block.windows.count() * block.outputs;
            slider = new Slider(block.windows, block.outputs, block.planes, true, threads);
            gradient = Matrix.allocate(block.outputs, block.inputs, threads);
            line = new float[block.windows.outWidth * block.outputs];
            picture = new float[n];
            pooled = new float[block.results()];
            outer = new float[block.results()];
            tile = new float[n];
            channel = new float[block.outputs];
            unit = new float[block.inputs];
            theirs = new float[block.inputs];
        }
    }

    MapStage(Block block, Matrix parameters, int images, int threads) {
        this.block = block;
        this.parameters = parameters;
        windows = block.windows;
        weights = Matrix.allocate(block.outputs, block.inputs, threads);
        values = Matrix.allocate(images, windows.count() * block.outputs, threads);
        signal = Matrix.allocate(images, block.results(), threads);
        boolean same = block.pooling == null && !block.normalised();
        result = same ? values : Matrix.allocate(images, block.results(), threads);
        normalisation = block.normalised() ? new MapNormalisation(block, parameters, images, threads) : null;
        for (int t = 0; t < threads; t++) {
            shares.add(new Share(block, threads));
        }
    }

    /** Reads the weights of a share of units, in the order of the windows. */
    void begin(int t, int from, int to) {
        block.arrange(t, parameters, weights, from, to);
    }

    /** Computes the result for a share of the images. */
    void forward(int t, Matrix x, int first, int last, int images, Crew crew) {
        Share s = shares.get(t);
        s.slider.forward(t, x, first, last, weights, values, first);
        int n = s.picture.length;
        block.tileBias(t, parameters, s.channel, s.tile);
        for (int i = first; i < last; i++) {
            values.read(t, i * n, s.picture, n);
            Loops.add(s.picture, s.tile, n);
            block.inner.apply(s.picture, n);
            values.write(t, i * n, s.picture, n);
            if (normalisation == null) {
                finish(t, s, i);
            }
        }
        if (normalisation != null) {
            normalisation.measure(t, values, first, last, images, crew);
            for (int i = first; i < last; i++) {
                values.read(t, i * n, s.picture, n);
                normalisation.apply(t, s.picture);
                finish(t, s, i);
            }
        }
    }

    private void finish(int t, Share s, int image) {
        if (result != values) {
            float[] picture = block.pool(s.picture, s.line, s.pooled);
            result.write(t, image * picture.length, picture, picture.length);
        }
    }

    /** Computes gradients from the signal; {@code to}, if given, receives that of the images that came in. */
    void backward(int t, Matrix x, int first, int last, int images, Matrix to, Crew crew) {
        Share s = shares.get(t);
        Slider.Signals signals = (image, d) -> plain(t, s, image, d);
        if (normalisation != null) {
            sum(t, s, first, last);
            normalisation.combine(t, images, crew);
            signals = (image, d) -> normalised(t, s, image, d);
        }
        Arrays.fill(s.tile, 0f);
        clear(t, s);
        s.slider.backward(t, x, first, last, weights, signals, s.gradient, to);
        Windows.fold(s.tile, s.channel, block.outputs);
    }

    private void clear(int t, Share s) {
        Arrays.fill(s.unit, 0f);
        for (int u = 0; u < block.outputs; u++) {
            s.gradient.write(t, u * block.inputs, s.unit, block.inputs);
        }
    }

    /** What the signal is before the pooling; the picture is there already. */
    private void unpool(int t, Share s, int image, float[] d) {
        signal.read(t, image * s.outer.length, s.outer, s.outer.length);
        if (block.pooling == null) {
            System.arraycopy(s.outer, 0, d, 0, d.length);
            return;
        }
        result.read(t, image * s.pooled.length, s.pooled, s.pooled.length);
        block.pooling.backward(s.outer, s.picture, s.pooled, d);
    }

    private void plain(int t, Share s, int image, float[] d) {
        values.read(t, image * d.length, s.picture, d.length);
        unpool(t, s, image, d);
        squash(s, d);
    }

    private void squash(Share s, float[] d) {
        block.inner.derive(d, s.picture, d.length);
        Loops.add(s.tile, d, d.length);
    }

    /** The sums that a normalisation's gradient needs, and what is to go through it. */
    private void sum(int t, Share s, int first, int last) {
        normalisation.begin(t);
        for (int i = first; i < last; i++) {
            values.read(t, i * s.picture.length, s.picture, s.picture.length);
            normalisation.apply(t, s.picture);
            unpool(t, s, i, s.tile);
            block.outer.derive(s.tile, s.picture, s.tile.length);
            normalisation.add(t, i, s.tile);
        }
    }

    private void normalised(int t, Share s, int image, float[] d) {
        values.read(t, image * d.length, s.picture, d.length);
        normalisation.backward(t, image, s.picture, d);
        squash(s, d);
    }

    /** Steps along the sums of all threads' gradients, for a share of the units. */
    void step(int t, Updates updates, int images, int from, int to) {
        Share s = shares.get(t);
        int n = block.inputs;
        for (int u = from; u < to; u++) {
            Arrays.fill(s.unit, 0f);
            for (Share other : shares) {
                other.gradient.read(t, u * n, s.theirs, n);
                Loops.add(s.unit, s.theirs, n);
            }
            windows.restore(s.unit, s.theirs);
            Loops.scale(s.theirs, 1f / images, n);
            updates.step(t, block.weights + u * n, s.theirs, n, block);
        }
        if (block.bias >= 0 && to > from) {
            updates.step(t, block.bias + from, gradientOfBias(images, from, to), to - from);
        }
        if (normalisation != null && to > from) {
            normalisation.step(t, updates, images, from, to - from);
        }
    }

    private float[] gradientOfBias(int images, int from, int to) {
        float[] sum = new float[to - from];
        for (Share share : shares) {
            for (int c = from; c < to; c++) {
                sum[c - from] += share.channel[c] / images;
            }
        }
        return sum;
    }

    @Override
    public void close() {
        weights.close();
        values.close();
        signal.close();
        if (result != values) {
            result.close();
        }
        if (normalisation != null) {
            normalisation.close();
        }
        for (Share share : shares) {
            share.slider.close();
            share.gradient.close();
        }
    }
}
