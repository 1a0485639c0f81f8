package org.pyimgret.engine;

import java.util.Arrays;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;

/**
 * Batch normalisation in training, of vectors or of feature maps over all their places.
 *
 * <p>Ioffe and Szegedy (2015), algorithm 1; the averages for later move as Deeplearning4j moves
 * them, with the variance of the batch as it is (divided by n). oneDNN's own would normalise each
 * worker's share by itself: here each measures its share, and the moments are joined as Chan, Golub
 * and LeVeque (1979) say.
 */
final class NormalizationTraining extends TrainingOperation {

    private final BatchNormalization settings;
    private final Optimizer.Parameter gamma;
    private final Optimizer.Parameter beta;
    private final Optimizer.Parameter mean;
    private final Optimizer.Parameter variance;
    private final int channels;

    /** Numbers that a loop takes at a time: whole pixels. */
    private final int piece;

    private final Share[] shares;

    NormalizationTraining(Node node, TrainingCompiler compiler) throws UnsupportedLayerException {
        super(node, compiler);
        settings = (BatchNormalization) node.layer.conf().getLayer();
        gamma = program.optimizer.parameter(node.layer, "gamma");
        beta = program.optimizer.parameter(node.layer, "beta");
        mean = program.optimizer.parameter(node.layer, "mean");
        variance = program.optimizer.parameter(node.layer, "var");
        channels = node.shape.channels;
        piece = Math.max(1, FloatView.PIECE / channels) * channels;
        shares = new Share[program.group.size];
        Arrays.setAll(shares, worker -> new Share());
    }

    /** What one worker measures of its images, and what it repeats for each pixel of a piece. */
    private final class Share {
        long pixels;
        final float[] mean = new float[channels];
        final float[] squares = new float[channels];
        final float[] slope = new float[channels];
        final float[] shift = new float[channels];
        final float[] x = new float[piece];
        final float[] d = new float[piece];
        final float[] sum = new float[piece];
        final float[] products = new float[piece];
        final float[] means = new float[piece];
        final float[] inverses = new float[piece];
        final float[] factors = new float[piece];
        final float[] terms = new float[piece];
    }

    private long pixels() {
        return (long) program.rows * node.shape.pixels();
    }

    @Override
    void forward() {
        program.each(worker -> {
            shares[worker].pixels = (long) program.images[worker] * node.shape.pixels();
            program.add(worker, block -> {
                FloatView x = input().floats(worker, block);
                return () -> measure(shares[worker], x);
            });
        });
        program.barrier();
        program.each(worker -> program.add(worker, block -> {
            FloatView x = input().floats(worker, block);
            FloatView y = output().floats(worker, block);
            FloatView scale = new FloatView(gamma.address, channels);
            FloatView shift = new FloatView(beta.address, channels);
            return () -> normalise(shares[worker], x, y, scale, shift);
        }));
        // Nobody else reads the averages for later.
        program.addUpdate(0, block -> {
            FloatView means = new FloatView(mean.address, channels);
            FloatView variances = new FloatView(variance.address, channels);
            float[] joined = new float[channels];
            float[] spread = new float[channels];
            return () -> {
                join(joined, spread);
                average(means, joined);
                average(variances, spread);
            };
        });
    }

    private void measure(Share s, FloatView x) {
        Arrays.fill(s.sum, 0f);
        for (int i = 0; i < x.count(); i += piece) {
            int n = Math.min(piece, x.count() - i);
            x.read(i, s.x, n);
            for (int k = 0; k < n; k++) {
                s.sum[k] += s.x[k];
            }
        }
        fold(s.sum, s.mean);
        for (int c = 0; c < channels; c++) {
            s.mean[c] /= s.pixels;
        }
        tile(s.mean, s.means);
        Arrays.fill(s.sum, 0f);
        for (int i = 0; i < x.count(); i += piece) {
            int n = Math.min(piece, x.count() - i);
            x.read(i, s.x, n);
            for (int k = 0; k < n; k++) {
                float difference = s.x[k] - s.means[k];
                s.sum[k] += difference * difference;
            }
        }
        fold(s.sum, s.squares);
    }

    /** The moments of the whole batch. */
    private void join(float[] joined, float[] spread) {
        Arrays.fill(joined, 0f);
        Arrays.fill(spread, 0f);
        for (int c = 0; c < channels; c++) {
            for (Share share : shares) {
                joined[c] += share.mean[c] * share.pixels / pixels();
            }
            for (Share share : shares) {
                float apart = share.mean[c] - joined[c];
                spread[c] += (share.squares[c] + share.pixels * apart * apart) / pixels();
            }
        }
    }

    private void normalise(Share s, FloatView x, FloatView y, FloatView scale, FloatView shift) {
        float[] joined = new float[channels];
        float[] inverse = new float[channels];
        float[] factor = new float[channels];
        join(joined, inverse);
        scale.read(0, factor, channels);
        for (int c = 0; c < channels; c++) {
            inverse[c] = (float) (1 / Math.sqrt(inverse[c] + settings.getEps()));
            factor[c] *= inverse[c];
        }
        tile(joined, s.means);
        tile(inverse, s.inverses);
        tile(factor, s.factors);
        shift.read(0, joined, channels);
        tile(joined, s.terms);
        for (int i = 0; i < x.count(); i += piece) {
            int n = Math.min(piece, x.count() - i);
            x.read(i, s.x, n);
            for (int k = 0; k < n; k++) {
                s.x[k] = (s.x[k] - s.means[k]) * s.factors[k] + s.terms[k];
            }
            y.write(i, s.x, n);
        }
    }

    private void average(FloatView running, float[] ofBatch) {
        float[] values = new float[channels];
        float rest = (float) (1 - settings.getDecay());
        running.read(0, values, channels);
        for (int c = 0; c < channels; c++) {
            values[c] -= rest * (values[c] - ofBatch[c]);
        }
        running.write(0, values, channels);
    }

    @Override
    void backward(Tensor gradient) {
        Tensor target = inputGradient(gradient);
        program.use(input());
        program.each(worker -> program.add(worker, block -> {
            FloatView x = input().floats(worker, block);
            FloatView d = gradient.floats(worker, block);
            return () -> sum(shares[worker], x, d);
        }));
        program.barrier();
        program.each(worker -> program.add(worker, block -> {
            FloatView x = input().floats(worker, block);
            FloatView d = gradient.floats(worker, block);
            FloatView to = target.floats(worker, block);
            return () -> differentiate(shares[worker], x, d, to);
        }));
        compiler.addGradient(node.inputs.get(0), target);
        update(gamma, true);
        update(beta, false);
    }

    private void update(Optimizer.Parameter parameter, boolean slopes) {
        program.addUpdate(0, block -> {
            Optimizer.Slice slice = program.optimizer.new Slice(0, parameter, 0, channels);
            return () -> slice.step(total(slopes), 0);
        });
    }

    private void sum(Share s, FloatView x, FloatView d) {
        Arrays.fill(s.sum, 0f);
        Arrays.fill(s.products, 0f);
        for (int i = 0; i < x.count(); i += piece) {
            int n = Math.min(piece, x.count() - i);
            x.read(i, s.x, n);
            d.read(i, s.d, n);
            for (int k = 0; k < n; k++) {
                s.sum[k] += s.d[k];
                s.products[k] += s.d[k] * (s.x[k] - s.means[k]) * s.inverses[k];
            }
        }
        fold(s.products, s.slope);
        fold(s.sum, s.shift);
    }

    private float[] total(boolean slopes) {
        float[] total = new float[channels];
        for (Share share : shares) {
            for (int c = 0; c < channels; c++) {
                total[c] += slopes ? share.slope[c] : share.shift[c];
            }
        }
        return total;
    }

    private void differentiate(Share s, FloatView x, FloatView d, FloatView to) {
        float[] slope = total(true);
        float[] shift = total(false);
        for (int c = 0; c < channels; c++) {
            // By (x - mean) instead of by the normalised number.
            slope[c] *= s.inverses[c] / pixels();
            shift[c] /= pixels();
        }
        tile(slope, s.products);
        tile(shift, s.terms);
        for (int i = 0; i < x.count(); i += piece) {
            int n = Math.min(piece, x.count() - i);
            x.read(i, s.x, n);
            d.read(i, s.d, n);
            for (int k = 0; k < n; k++) {
                s.d[k] = s.factors[k] * (s.d[k] - s.terms[k] - (s.x[k] - s.means[k]) * s.products[k]);
            }
            to.write(i, s.d, n);
        }
    }

    private void tile(float[] each, float[] pixels) {
        for (int i = 0; i < piece; i += channels) {
            System.arraycopy(each, 0, pixels, i, channels);
        }
    }

    private void fold(float[] pixels, float[] each) {
        Arrays.fill(each, 0f);
        for (int i = 0; i < piece; i += channels) {
            for (int c = 0; c < channels; c++) {
                each[c] += pixels[i + c];
            }
        }
    }
}
