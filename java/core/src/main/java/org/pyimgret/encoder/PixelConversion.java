package org.pyimgret.encoder;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.ComponentSampleModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.DirectColorModel;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.util.Arrays;

/**
 * The samples of Java's images as 8-bit pixels.
 *
 * <p>Samples are taken as they are stored: Java would convert grey as linear light and apply colour
 * profiles, Pillow does neither.
 */
final class PixelConversion {

    private static final int WHITE = 255;

    private PixelConversion() {}

    /** Any image as grey or colour, its alpha laid over white. */
    static ImageData toPixels(BufferedImage image) {
        ColorModel model = image.getColorModel();
        if (model instanceof IndexColorModel) {
            return lookUp(image.getRaster(), overWhite((IndexColorModel) model, false));
        }
        int type = model.getColorSpace().getType();
        if (type == ColorSpace.TYPE_CMYK) {
            return CmykConversion.fromInk(image.getRaster());
        }
        if (image.getRaster().getTransferType() == DataBuffer.TYPE_FLOAT) {
            return opaque(image, type == ColorSpace.TYPE_GRAY ? 1 : 3);
        }
        boolean standard = model instanceof ComponentColorModel || model instanceof DirectColorModel;
        boolean grey = type == ColorSpace.TYPE_GRAY;
        if (!standard || model.isAlphaPremultiplied() || !grey && type != ColorSpace.TYPE_RGB) {
            return fromRgb(image);
        }
        ImageData pixels = opaque(image, grey ? 1 : 3);
        if (model.hasAlpha()) {
            layOverWhite(pixels, image, pixels.channels);
        }
        return pixels;
    }

    /** The colour samples alone, of a grey image of any depth or a colour one. */
    static ImageData opaque(BufferedImage image, int channels) {
        ColorModel model = image.getColorModel();
        if (model instanceof IndexColorModel) {
            ImageData pixels = lookUp(image.getRaster(), overWhite((IndexColorModel) model, false));
            return channels == 1 ? pixels.toGrey() : pixels;
        }
        Raster raster = image.getRaster();
        ImageData pixels = new ImageData(raster.getWidth(), raster.getHeight(), channels);
        if (raster.getTransferType() == DataBuffer.TYPE_BYTE
                && raster.getSampleModel() instanceof ComponentSampleModel
                && Arrays.stream(model.getComponentSize()).allMatch(size -> size == 8)) {
            copyBytes(raster, pixels);
            return pixels;
        }
        int bands = raster.getNumBands();
        int[] bits = model.getComponentSize();
        boolean floats = raster.getTransferType() == DataBuffer.TYPE_FLOAT;
        int[] row = new int[raster.getWidth() * bands];
        int to = 0;
        for (int y = 0; y < pixels.height; y++) {
            raster.getPixels(raster.getMinX(), raster.getMinY() + y, pixels.width, 1, row);
            for (int x = 0; x < row.length; x += bands) {
                for (int channel = 0; channel < channels; channel++) {
                    int sample = row[x + channel];
                    int level = floats ? clip(sample, 255) : eightBits(sample, bits[channel]);
                    pixels.samples[to++] = (byte) level;
                }
            }
        }
        return pixels;
    }

    /** Copies samples that are stored as bytes, without the calls that {@code getPixels} makes. */
    private static void copyBytes(Raster raster, ImageData pixels) {
        ComponentSampleModel model = (ComponentSampleModel) raster.getSampleModel();
        DataBufferByte data = (DataBufferByte) raster.getDataBuffer();
        int left = raster.getMinX() - raster.getSampleModelTranslateX();
        int top = raster.getMinY() - raster.getSampleModelTranslateY();
        int step = model.getPixelStride();
        for (int channel = 0; channel < pixels.channels; channel++) {
            int bank = model.getBankIndices()[channel];
            byte[] samples = data.getData(bank);
            int origin = data.getOffsets()[bank] + model.getBandOffsets()[channel] + left * step;
            for (int y = 0; y < pixels.height; y++) {
                int from = origin + (top + y) * model.getScanlineStride();
                int to = y * pixels.width * pixels.channels + channel;
                for (int x = 0; x < pixels.width; x++) {
                    pixels.samples[to + x * pixels.channels] = samples[from + x * step];
                }
            }
        }
    }

    private static int eightBits(int sample, int bits) {
        if (bits == 32) {
            return clip(sample, 0xffff) >> 8;
        }
        if (bits >= 8) {
            return sample >> bits - 8;
        }
        return sample * 255 / ((1 << bits) - 1);
    }

    private static int clip(int sample, int most) {
        return Math.max(0, Math.min(most, sample));
    }

    private static void layOverWhite(ImageData pixels, BufferedImage image, int alphaBand) {
        Raster raster = image.getRaster();
        int bits = image.getColorModel().getComponentSize(alphaBand);
        int[] alphas = new int[pixels.width];
        int at = 0;
        for (int y = 0; y < pixels.height; y++) {
            raster.getSamples(raster.getMinX(), raster.getMinY() + y, pixels.width, 1, alphaBand, alphas);
            for (int alpha : alphas) {
                for (int channel = 0; channel < pixels.channels; channel++, at++) {
                    int colour = pixels.samples[at] & 0xff;
                    pixels.samples[at] = (byte) overWhite(colour, eightBits(alpha, bits));
                }
            }
        }
    }

    private static int overWhite(int colour, int alpha) {
        return (colour * alpha + WHITE * (255 - alpha) + 127) / 255;
    }

    /** A palette's colours, 0xRRGGBB, their alpha laid over white; or grey for a file without. */
    static int[] overWhite(IndexColorModel model, boolean asGrey) {
        int[] table = new int[256];
        for (int i = 0; i < table.length; i++) {
            int argb = i < model.getMapSize() ? model.getRGB(i) : 0xff000000;
            table[i] = overWhite(asGrey ? argb & 0xff000000 | i * 0x010101 : argb);
        }
        return table;
    }

    /** Colours of an image whose file has a palette of some entries; further ones are black. */
    static ImageData lookUp(BufferedImage image, int paletteSize) {
        int[] table = overWhite((IndexColorModel) image.getColorModel(), false);
        Arrays.fill(table, Math.min(paletteSize, table.length), table.length, 0);
        return lookUp(image.getRaster(), table);
    }

    private static int overWhite(int argb) {
        int alpha = argb >>> 24;
        int red = overWhite(argb >> 16 & 0xff, alpha);
        int green = overWhite(argb >> 8 & 0xff, alpha);
        return red << 16 | green << 8 | overWhite(argb & 0xff, alpha);
    }

    /** Makes every pixel of a colour white. */
    static void whiten(ImageData pixels, int[] colour) {
        for (int at = 0; at < pixels.samples.length; at += pixels.channels) {
            boolean same = true;
            for (int channel = 0; channel < pixels.channels; channel++) {
                same &= (pixels.samples[at + channel] & 0xff) == colour[channel];
            }
            for (int channel = 0; same && channel < pixels.channels; channel++) {
                pixels.samples[at + channel] = (byte) WHITE;
            }
        }
    }

    static void put(ImageData pixels, int position, int rgb) {
        pixels.samples[3 * position] = (byte) (rgb >> 16);
        pixels.samples[3 * position + 1] = (byte) (rgb >> 8);
        pixels.samples[3 * position + 2] = (byte) rgb;
    }

    private static ImageData lookUp(Raster raster, int[] table) {
        ImageData pixels = new ImageData(raster.getWidth(), raster.getHeight(), 3);
        int[] row = new int[raster.getWidth()];
        for (int y = 0; y < pixels.height; y++) {
            raster.getPixels(raster.getMinX(), raster.getMinY() + y, row.length, 1, row);
            for (int x = 0; x < row.length; x++) {
                put(pixels, y * pixels.width + x, table[row[x]]);
            }
        }
        return pixels;
    }

    /** Whatever else Java can show, by its own conversion. */
    private static ImageData fromRgb(BufferedImage image) {
        ImageData pixels = new ImageData(image.getWidth(), image.getHeight(), 3);
        for (int y = 0; y < pixels.height; y++) {
            for (int x = 0; x < pixels.width; x++) {
                put(pixels, y * pixels.width + x, overWhite(image.getRGB(x, y)));
            }
        }
        return pixels;
    }
}
