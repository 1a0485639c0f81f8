package org.pyimgret.encoder;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.nd4j.shade.jackson.core.JsonProcessingException;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * From an image to the numbers that a network reads, as Python's {@code Preprocessor} defines it:
 * the same PNG, BMP or GIF file gives the same bits.
 *
 * <p>Decode, turn upright by EXIF, lay alpha over white, resize with Pillow's filters, crop, scale.
 * Immutable, and safe for use by several threads.
 */
public final class ImagePreprocessor {

    private static final int MAX_SIDE = 16_384;
    private static final long MAX_PIXELS = 100_000_000;
    private static final Set<String> FIELDS =
            Set.of("mode", "height", "width", "resize", "short_side", "filter", "mean", "std");

    private final boolean grey;
    private final int height;
    private final int width;
    private final int shortSide;
    private final ResizeFilter filter;
    private final float[][] tables;
    private final ImageDecoder decoder = new ImageDecoder(MAX_PIXELS);

    private ImagePreprocessor(JsonNode json) throws ModelFormatException {
        checkFields(json);
        grey = choice(json, "mode", "L", "RGB").equals("L");
        height = side(json, "height");
        width = side(json, "width");
        boolean crop = choice(json, "resize", "stretch", "crop").equals("crop");
        shortSide = crop ? side(json, "short_side") : 0;
        if (crop && shortSide < Math.max(height, width)) {
            throw refuse("short_side is smaller than the crop");
        }
        String name = choice(json, "filter", "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos");
        filter = ResizeFilter.valueOf(name.toUpperCase(Locale.ROOT));
        tables = tables(json.get("mean"), json.get("std"), channels());
    }

    /**
     * Reads a definition as Python's {@code Preprocessor.to_dict} writes it.
     *
     * @param json the object below "preprocessing" in pyimgret.json
     * @return the preprocessor
     * @throws ModelFormatException if a field is missing, unknown, or holds an unknown value
     */
    public static ImagePreprocessor fromJson(String json) throws ModelFormatException {
        try {
            return of(new ObjectMapper().readTree(Objects.requireNonNull(json, "json")));
        } catch (JsonProcessingException e) {
            throw new ModelFormatException("the preprocessing is not JSON", e);
        }
    }

    static ImagePreprocessor of(JsonNode json) throws ModelFormatException {
        return new ImagePreprocessor(json);
    }

    /**
     * Rows of a result.
     *
     * @return the height in pixels
     */
    public int height() {
        return height;
    }

    /**
     * Columns of a result.
     *
     * @return the width in pixels
     */
    public int width() {
        return width;
    }

    /**
     * Numbers a pixel.
     *
     * @return 1 for grey, 3 for red, green and blue
     */
    public int channels() {
        return grey ? 1 : 3;
    }

    /**
     * Prepares an image file.
     *
     * @param file the file's content
     * @return height x width x channels numbers, in that order
     * @throws ImageDecodeException if it cannot be read as an image
     */
    public float[] apply(byte[] file) throws ImageDecodeException {
        return scale(prepare(decoder.decode(Objects.requireNonNull(file, "file"))));
    }

    /**
     * Prepares an image file.
     *
     * @param file the file
     * @return height x width x channels numbers, in that order
     * @throws ImageDecodeException if it cannot be read as an image
     * @throws IOException if it cannot be read at all
     */
    public float[] apply(Path file) throws IOException {
        Objects.requireNonNull(file, "file");
        // NB: a pipe or a device could block, or never end.
        if (!Files.isRegularFile(file) && Files.exists(file)) {
            throw new ImageDecodeException(file + " is not a regular file.");
        }
        try {
            return apply(Files.readAllBytes(file));
        } catch (ImageDecodeException e) {
            throw new ImageDecodeException(file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Prepares an image; alpha is laid over white.
     *
     * @param image any image, upright
     * @return height x width x channels numbers, in that order
     * @throws ImageDecodeException if it has too many pixels
     */
    public float[] apply(BufferedImage image) throws ImageDecodeException {
        Objects.requireNonNull(image, "image");
        decoder.checkSize(image.getWidth(), image.getHeight());
        return scale(prepare(PixelConversion.toPixels(image)));
    }

    private ImageData prepare(ImageData decoded) throws ImageDecodeException {
        ImageData pixels = grey ? decoded.toGrey() : decoded.toColour();
        if (shortSide == 0) {
            return Resampler.resize(pixels, width, height, filter);
        }
        return centreOfShortSide(pixels);
    }

    private ImageData centreOfShortSide(ImageData pixels) throws ImageDecodeException {
        long shorter = Math.min(pixels.width, pixels.height);
        long longer = shortSide * (long) Math.max(pixels.width, pixels.height) / shorter;
        if (shortSide * longer > MAX_PIXELS) {
            throw new ImageDecodeException(String.format(
                    Locale.ROOT,
                    "an image of %d x %d is too long: with its shorter side at %d it has more than %d pixels.",
                    pixels.width,
                    pixels.height,
                    shortSide,
                    MAX_PIXELS));
        }
        boolean wide = pixels.width > pixels.height;
        int newWidth = wide ? (int) longer : shortSide;
        int newHeight = wide ? shortSide : (int) longer;
        int left = middle(newWidth - width);
        int top = middle(newHeight - height);
        return Resampler.resize(pixels, newWidth, newHeight, filter, left, top, width, height);
    }

    /** Half of a rest, halves rounded to the even number. */
    private static int middle(int rest) {
        return (int) Math.rint(rest / 2.0);
    }

    private float[] scale(ImageData pixels) {
        float[] scaled = new float[pixels.samples.length];
        for (int channel = 0; channel < tables.length; channel++) {
            float[] table = tables[channel];
            for (int i = channel; i < scaled.length; i += tables.length) {
                scaled[i] = table[pixels.samples[i] & 0xff];
            }
        }
        return scaled;
    }

    private static float[][] tables(JsonNode mean, JsonNode std, int channels) throws ModelFormatException {
        float[][] tables = new float[channels][256];
        for (int channel = 0; channel < channels; channel++) {
            double shift = number("mean", mean, channel, channels);
            double divisor = number("std", std, channel, channels);
            if (!(divisor > 0)) {
                throw refuse("std is not above zero");
            }
            for (int level = 0; level < 256; level++) {
                tables[channel][level] = (float) ((level / 255.0 - shift) / divisor);
            }
        }
        return tables;
    }

    private static double number(String name, JsonNode values, int channel, int channels) throws ModelFormatException {
        if (!values.isArray() || values.size() != 1 && values.size() != channels) {
            throw refuse(name + " is " + values + "; expected " + channels + " numbers");
        }
        JsonNode value = values.get(values.size() == 1 ? 0 : channel);
        if (!value.isNumber() || !Double.isFinite(value.asDouble())) {
            throw refuse(name + " is " + values + "; expected finite numbers");
        }
        return value.asDouble();
    }

    private static void checkFields(JsonNode json) throws ModelFormatException {
        if (json == null || !json.isObject()) {
            throw refuse("it is not an object");
        }
        Set<String> names = new TreeSet<>();
        json.fieldNames().forEachRemaining(names::add);
        Set<String> missing = new TreeSet<>(FIELDS);
        missing.removeAll(names);
        names.removeAll(FIELDS);
        if (!names.isEmpty()) {
            throw refuse("it has fields that this version does not know: " + names + "; a newer pyimgret wrote it");
        }
        if (!missing.isEmpty()) {
            throw refuse("it lacks " + missing);
        }
    }

    private static String choice(JsonNode json, String name, String... choices) throws ModelFormatException {
        String value = json.get(name).asText();
        if (!Arrays.asList(choices).contains(value)) {
            throw refuse(name + " is " + json.get(name) + "; expected one of " + String.join(", ", choices));
        }
        return value;
    }

    private static int side(JsonNode json, String name) throws ModelFormatException {
        JsonNode value = json.get(name);
        if (!value.isIntegralNumber() || value.asLong() < 1 || value.asLong() > MAX_SIDE) {
            throw refuse(name + " is " + value + "; expected a whole number from 1 to " + MAX_SIDE);
        }
        return value.intValue();
    }

    private static ModelFormatException refuse(String what) {
        return new ModelFormatException("the preprocessing is not usable: " + what + ".");
    }
}
