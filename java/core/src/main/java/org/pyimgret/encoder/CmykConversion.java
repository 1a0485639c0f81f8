package org.pyimgret.encoder;

import java.awt.image.Raster;

/** Images stored as inks (CMYK), by Pillow's formula and without any colour profile. */
final class CmykConversion {

    private CmykConversion() {}

    /** Samples where 255 is full ink, as in TIFF. */
    static ImageData fromInk(Raster raster) {
        return convert(raster, row -> {
            for (int i = 0; i < row.length; i++) {
                row[i] = 255 - row[i];
            }
        });
    }

    /** Samples where 255 is no ink, as Adobe's JPEG files hold them. */
    static ImageData fromLight(Raster raster) {
        return convert(raster, row -> {});
    }

    /** As {@link #fromLight}, with the first three as luminance and colour differences. */
    static ImageData fromYcck(Raster raster) {
        return convert(raster, row -> {
            for (int x = 0; x < row.length; x += 4) {
                toInks(row, x);
            }
        });
    }

    // libjpeg's YCCK: the colour of JPEG's YCbCr in 16-bit fixed point, inverted.
    private static void toInks(int[] row, int x) {
        int luma = row[x];
        int blue = row[x + 1] - 128;
        int red = row[x + 2] - 128;
        row[x] = 255 - clip(luma + (91881 * red + 32768 >> 16));
        row[x + 1] = 255 - clip(luma + (-22554 * blue - 46802 * red + 32768 >> 16));
        row[x + 2] = 255 - clip(luma + (116130 * blue + 32768 >> 16));
    }

    private static int clip(int value) {
        return Math.max(0, Math.min(255, value));
    }

    private static ImageData convert(Raster raster, java.util.function.Consumer<int[]> toLight) {
        ImageData pixels = new ImageData(raster.getWidth(), raster.getHeight(), 3);
        int[] row = new int[4 * raster.getWidth()];
        int to = 0;
        for (int y = 0; y < pixels.height; y++) {
            raster.getPixels(0, y, pixels.width, 1, row);
            toLight.accept(row);
            for (int x = 0; x < row.length; x += 4) {
                int light = row[x + 3];
                for (int ink = 0; ink < 3; ink++) {
                    int darkening = (255 - row[x + ink]) * light + 128;
                    int colour = light - ((darkening >> 8) + darkening >> 8);
                    pixels.samples[to++] = (byte) Math.max(0, colour);
                }
            }
        }
        return pixels;
    }
}
