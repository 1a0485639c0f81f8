package org.pyimgret.encoder;

/** An image of 8-bit samples in rows, one (grey) or three (red, green, blue) a pixel. */
final class ImageData {

    final int width;
    final int height;
    final int channels;
    final byte[] samples;

    ImageData(int width, int height, int channels) {
        this(width, height, channels, new byte[Math.multiplyExact(width * channels, height)]);
    }

    ImageData(int width, int height, int channels, byte[] samples) {
        this.width = width;
        this.height = height;
        this.channels = channels;
        this.samples = samples;
    }

    int at(int x, int y, int channel) {
        return samples[(y * width + x) * channels + channel] & 0xff;
    }

    /** Pillow's grey, {@code (19595 r + 38470 g + 7471 b + 32768) >> 16}. */
    ImageData toGrey() {
        if (channels == 1) {
            return this;
        }
        ImageData grey = new ImageData(width, height, 1);
        for (int to = 0, from = 0; to < grey.samples.length; to++, from += 3) {
            int sum = 19595 * (samples[from] & 0xff)
                    + 38470 * (samples[from + 1] & 0xff)
                    + 7471 * (samples[from + 2] & 0xff);
            grey.samples[to] = (byte) (sum + 32768 >> 16);
        }
        return grey;
    }

    ImageData toColour() {
        if (channels == 3) {
            return this;
        }
        ImageData colour = new ImageData(width, height, 3);
        for (int from = 0, to = 0; from < samples.length; from++) {
            colour.samples[to++] = samples[from];
            colour.samples[to++] = samples[from];
            colour.samples[to++] = samples[from];
        }
        return colour;
    }

    ImageData crop(int left, int top, int newWidth, int newHeight) {
        if (newWidth == width && newHeight == height) {
            return this;
        }
        ImageData part = new ImageData(newWidth, newHeight, channels);
        int row = newWidth * channels;
        for (int y = 0; y < newHeight; y++) {
            int from = ((top + y) * width + left) * channels;
            System.arraycopy(samples, from, part.samples, y * row, row);
        }
        return part;
    }

    /** Turns the image upright: {@code orientation} is EXIF's, 1 to 8; others change nothing. */
    ImageData upright(int orientation) {
        if (orientation < 2 || orientation > 8) {
            return this;
        }
        boolean transposed = orientation >= 5;
        boolean flipX = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
        boolean flipY = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
        ImageData turned = transposed ? new ImageData(height, width, channels) : new ImageData(width, height, channels);
        int to = 0;
        for (int y = 0; y < turned.height; y++) {
            for (int x = 0; x < turned.width; x++) {
                int fromX = transposed ? y : x;
                int fromY = transposed ? x : y;
                fromX = flipX ? width - 1 - fromX : fromX;
                fromY = flipY ? height - 1 - fromY : fromY;
                int from = (fromY * width + fromX) * channels;
                for (int channel = 0; channel < channels; channel++) {
                    turned.samples[to++] = samples[from + channel];
                }
            }
        }
        return turned;
    }
}
