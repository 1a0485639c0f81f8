package org.pyimgret.nn.engine;

import java.util.Arrays;

/** One thread's products of a convolution, a band of windows at a time, so that they stay in the cache. */
final class Slider implements AutoCloseable {

    /** Values of windows in a band: 256 KiB, a quarter of the usual second-level cache. */
    private static final int BAND = 1 << 16;

    private final Windows windows;
    private final int units;
    private final boolean planes;
    private final int band;
    private final int line;
    private final float[] plain;
    private final float[] picture;
    private final float[] other;
    private final float[] rows;
    private final float[] signal;
    private final Matrix window;
    private final Matrix difference;
    private final float[] back;

    /** Gives the gradient by a picture of products. */
    interface Signals {
        void read(int image, float[] out);
    }

    /**
     * Makes room.
     *
     * @param planes whether pictures come in as (channels, height, width)
     * @param learns whether there is a way back
     */
    Slider(Windows windows, int units, boolean planes, boolean learns, int threads) {
        this.windows = windows;
        this.units = units;
        this.planes = planes && windows.channels > 1;
        line = windows.outWidth * windows.size();
        band = Math.max(1, BAND / line);
        plain = new float[windows.inputs()];
        picture = new float[windows.padded()];
        other = this.planes ? new float[windows.inputs()] : plain;
        rows = new float[band * line];
        window = Matrix.allocate(band * windows.outWidth, windows.size(), threads);
        signal = new float[learns ? windows.count() * units : 0];
        difference = learns ? Matrix.allocate(band * windows.outWidth, units, threads) : null;
        back = new float[learns ? windows.padded() : 0];
    }

    private void see(int t, Matrix x, int image) {
        x.read(t, image * plain.length, other, plain.length);
        if (planes) {
            Windows.transpose(other, plain, windows.channels, windows.height * windows.width);
        }
        windows.pad(plain, picture);
    }

    /** Writes the products of images, from {@code first} up to {@code last}, from {@code to} on. */
    void forward(int t, Matrix x, int first, int last, Matrix weights, Matrix out, int to) {
        int filled = 0;
        int done = to * windows.outHeight;
        for (int image = first; image < last; image++) {
            see(t, x, image);
            for (int y = 0; y < windows.outHeight; y++) {
                windows.gather(picture, y, rows, filled++ * line);
                boolean end = image == last - 1 && y == windows.outHeight - 1;
                if (filled == band || end) {
                    window.write(t, 0, rows, filled * line);
                    Gemm.windows(
                            t, window, weights, out, done * windows.outWidth * units, filled * windows.outWidth, units);
                    done += filled;
                    filled = 0;
                }
            }
        }
    }

    /** Adds to the gradient of the weights and, where {@code to} is given, writes that of the images. */
    void backward(int t, Matrix x, int first, int last, Matrix weights, Signals signals, Matrix gradient, Matrix to) {
        int filled = 0;
        int done = 0;
        int width = windows.outWidth * units;
        Arrays.fill(back, 0f);
        for (int image = first; image < last; image++) {
            see(t, x, image);
            signals.read(image, signal);
            for (int y = 0; y < windows.outHeight; y++) {
                windows.gather(picture, y, rows, filled * line);
                difference.write(t, filled * width, signal, y * width, width);
                filled++;
                boolean end = image == last - 1 && y == windows.outHeight - 1;
                if (filled == band || end) {
                    flush(t, filled, weights, gradient, to, first * windows.outHeight + done);
                    done += filled;
                    filled = 0;
                }
            }
        }
    }

    private void flush(int t, int filled, Matrix weights, Matrix gradient, Matrix to, int firstLine) {
        int count = filled * windows.outWidth;
        window.write(t, 0, rows, filled * line);
        Gemm.addWeights(t, difference, window, gradient, count);
        if (to == null) {
            return;
        }
        Gemm.backward(t, difference, weights, 0, window, count, 0, windows.size());
        window.read(t, 0, rows, filled * line);
        for (int i = 0; i < filled; i++) {
            int y = (firstLine + i) % windows.outHeight;
            windows.scatter(rows, i * line, y, back);
            if (y == windows.outHeight - 1) {
                windows.crop(back, plain);
                to.write(t, (firstLine + i) / windows.outHeight * plain.length, plain, plain.length);
                Arrays.fill(back, 0f);
            }
        }
    }

    @Override
    public void close() {
        window.close();
        if (difference != null) {
            difference.close();
        }
    }
}
