package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Batch normalisation of the channels of pictures, over all their places, and the activation after it.
 *
 * <p>Ioffe and Szegedy (2015), section 3.2. Each thread measures its own images; moments of shares
 * are joined as Chan, Golub and LeVeque (1979) say.
 */
final class MapNormalisation implements AutoCloseable {

    private final Block block;
    private final Matrix parameters;
    private final Matrix deltas;
    private final List<Share> shares = new ArrayList<>();

    /** What one thread measures, and the values for each channel, repeated over a picture. */
    private static final class Share {
        int count;
        final float[] mean;
        final float[] squares;
        final float[] slope;
        final float[] shift;
        final float[] gamma;
        final float[] inverse;
        final float[] means;
        final float[] inverses;
        final float[] gammas;
        final float[] betas;
        final float[] slopes;
        final float[] shifts;
        final float[] standard;

        Share(int channels, int places) {
            mean = new float[channels];
            squares = new float[channels];
            slope = new float[channels];
            shift = new float[channels];
            gamma = new float[channels];
            inverse = new float[channels];
            int n = channels * places;
            means = new float[n];
            inverses = new float[n];
            gammas = new float[n];
            betas = new float[n];
            slopes = new float[n];
            shifts = new float[n];
            standard = new float[n];
        }
    }

    MapNormalisation(Block block, Matrix parameters, int images, int threads) {
        this.block = block;
        this.parameters = parameters;
        deltas = Matrix.allocate(images, block.windows.count() * block.outputs, threads);
        for (int t = 0; t < threads; t++) {
            shares.add(new Share(block.outputs, block.windows.count()));
        }
    }

    /** Measures a share of the images, waits for the others, and moves the averages for later. */
    void measure(int t, Matrix values, int first, int last, int images, Crew crew) {
        Share s = shares.get(t);
        int channels = block.outputs;
        s.count = (last - first) * block.windows.count();
        Arrays.fill(s.slopes, 0f);
        for (int i = first; i < last; i++) {
            values.read(t, i * s.standard.length, s.standard, s.standard.length);
            Loops.add(s.slopes, s.standard, s.standard.length);
        }
        Windows.fold(s.slopes, s.mean, channels);
        Loops.scale(s.mean, 1f / Math.max(1, s.count), channels);
        Windows.tile(s.mean, channels, s.means);
        Arrays.fill(s.slopes, 0f);
        for (int i = first; i < last; i++) {
            values.read(t, i * s.standard.length, s.standard, s.standard.length);
            Loops.addSquares(s.slopes, s.standard, s.means, s.standard.length);
        }
        Windows.fold(s.slopes, s.squares, channels);
        crew.await();
        join(t, s, images * block.windows.count());
    }

    private void join(int t, Share s, int count) {
        int channels = block.outputs;
        float[] mean = new float[channels];
        float[] variance = new float[channels];
        for (int c = 0; c < channels; c++) {
            for (Share other : shares) {
                mean[c] += other.mean[c] * other.count / count;
            }
            for (Share other : shares) {
                float apart = other.mean[c] - mean[c];
                variance[c] += (other.squares[c] + other.count * apart * apart) / count;
            }
            s.inverse[c] = (float) (1 / Math.sqrt(variance[c] + block.epsilon));
        }
        if (t == 0) {
            float[] running = new float[channels];
            Normalisation.average(t, block, parameters, block.mean(), mean, running, channels);
            Normalisation.average(t, block, parameters, block.variance(), variance, running, channels);
        }
        Windows.tile(mean, channels, s.means);
        Windows.tile(s.inverse, channels, s.inverses);
        parameters.read(t, block.scale, s.gamma, channels);
        Windows.tile(s.gamma, channels, s.gammas);
        parameters.read(t, block.shift(), mean, channels);
        Windows.tile(mean, channels, s.betas);
    }

    /** Normalises a picture; the standardised values are kept for {@link #add}. */
    void apply(int t, float[] picture) {
        Share s = shares.get(t);
        Loops.standardise(picture, s.means, s.inverses, picture.length);
        System.arraycopy(picture, 0, s.standard, 0, picture.length);
        Loops.affine(picture, s.gammas, s.betas, picture.length);
        block.outer.apply(picture, picture.length);
    }

    /** Begins the sums of the way back. */
    void begin(int t) {
        Arrays.fill(shares.get(t).slopes, 0f);
        Arrays.fill(shares.get(t).shifts, 0f);
    }

    /** Adds the gradient of the picture that was normalised last. */
    void add(int t, int image, float[] d) {
        Share s = shares.get(t);
        Loops.addProducts(s.slopes, d, s.standard, d.length);
        Loops.add(s.shifts, d, d.length);
        deltas.write(t, image * d.length, d, d.length);
    }

    /** Waits for all threads' sums. */
    void combine(int t, int images, Crew crew) {
        Share s = shares.get(t);
        int channels = block.outputs;
        Windows.fold(s.slopes, s.slope, channels);
        Windows.fold(s.shifts, s.shift, channels);
        crew.await();
        float part = 1f / (images * block.windows.count());
        float[] slope = total(true);
        float[] shift = total(false);
        Loops.scale(slope, part, channels);
        Loops.scale(shift, part, channels);
        Windows.tile(slope, channels, s.slopes);
        Windows.tile(shift, channels, s.shifts);
        float[] factor = new float[channels];
        for (int c = 0; c < channels; c++) {
            factor[c] = s.gamma[c] * s.inverse[c];
        }
        Windows.tile(factor, channels, s.gammas);
    }

    private float[] total(boolean slopes) {
        float[] sum = new float[block.outputs];
        for (Share share : shares) {
            Loops.add(sum, slopes ? share.slope : share.shift, sum.length);
        }
        return sum;
    }

    /** Gives the gradient of the values, which are not kept. */
    void backward(int t, int image, float[] values, float[] d) {
        Share s = shares.get(t);
        System.arraycopy(values, 0, s.standard, 0, d.length);
        Loops.standardise(s.standard, s.means, s.inverses, d.length);
        deltas.read(t, image * d.length, d, d.length);
        Loops.unstandardise(d, s.standard, s.gammas, s.shifts, s.slopes, d.length);
    }

    /** Steps along the sums of the way back. */
    void step(int t, Updates updates, int images, int from, int n) {
        step(t, updates, block.scale + from, total(true), images, from, n);
        step(t, updates, block.shift() + from, total(false), images, from, n);
    }

    private void step(int t, Updates updates, int place, float[] sum, int images, int from, int n) {
        float[] part = Arrays.copyOfRange(sum, from, from + n);
        Loops.scale(part, 1f / images, n);
        updates.step(t, place, part, n);
    }

    @Override
    public void close() {
        deltas.close();
    }
}
