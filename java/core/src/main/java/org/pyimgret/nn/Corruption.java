package org.pyimgret.nn;

import java.util.SplittableRandom;
import org.nd4j.shade.jackson.databind.JsonNode;

/**
 * Makes an image worse, afresh each time it is seen: the input of a denoising autoencoder.
 *
 * <p>In this order: one random rotation, zoom and shift (bilinear, the border is background), Gaussian
 * noise, masking. All randomness comes from the generator that is handed in, so that an image's
 * corruption depends on the seed, the epoch and its place alone.
 */
final class Corruption {

    private final double masking;
    private final double gaussian;
    private final double shift;
    private final double rotation;
    private final double zoom;
    private final boolean flip;
    private final float background;

    Corruption(JsonNode settings) {
        masking = settings.path("masking").asDouble(0);
        gaussian = settings.path("gaussian").asDouble(0);
        shift = settings.path("shift").asDouble(0);
        rotation = Math.toRadians(settings.path("rotation").asDouble(0));
        zoom = settings.path("zoom").asDouble(0);
        flip = settings.path("flip").asBoolean(false);
        background = (float) settings.path("background").asDouble(0);
    }

    /** Writes the corrupted image (height, width, channels) of {@code clean} to {@code out}. */
    void apply(float[] clean, float[] out, int height, int width, int channels, SplittableRandom random) {
        if (moves()) {
            move(clean, out, height, width, channels, random);
        } else {
            System.arraycopy(clean, 0, out, 0, clean.length);
        }
        if (gaussian > 0) {
            for (int i = 0; i < out.length; i++) {
                out[i] += (float) (gaussian * normal(random));
            }
        }
        if (masking > 0) {
            for (int i = 0; i < out.length; i++) {
                if (random.nextDouble() < masking) {
                    out[i] = background;
                }
            }
        }
    }

    private boolean moves() {
        return shift > 0 || rotation > 0 || zoom > 0 || flip;
    }

    private void move(float[] in, float[] out, int height, int width, int channels, SplittableRandom random) {
        double angle = rotation * (2 * random.nextDouble() - 1);
        double scale = 1 + zoom * (2 * random.nextDouble() - 1);
        double cos = scale * Math.cos(angle);
        double sin = scale * Math.sin(angle);
        double mirror = flip && random.nextBoolean() ? -1 : 1;
        double cy = (height - 1) / 2.0;
        double cx = (width - 1) / 2.0;
        double dy = shift * (2 * random.nextDouble() - 1);
        double dx = shift * (2 * random.nextDouble() - 1);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                double ry = y - cy - dy;
                double rx = mirror * (x - cx - dx);
                sample(
                        in,
                        out,
                        (y * width + x) * channels,
                        cy + sin * rx + cos * ry,
                        cx + cos * rx - sin * ry,
                        height,
                        width,
                        channels);
            }
        }
    }

    private void sample(float[] in, float[] out, int at, double y, double x, int height, int width, int channels) {
        int y0 = (int) Math.floor(y);
        int x0 = (int) Math.floor(x);
        float fy = (float) (y - y0);
        float fx = (float) (x - x0);
        for (int c = 0; c < channels; c++) {
            float top = mix(
                    pixel(in, y0, x0, c, height, width, channels),
                    pixel(in, y0, x0 + 1, c, height, width, channels),
                    fx);
            float low = mix(
                    pixel(in, y0 + 1, x0, c, height, width, channels),
                    pixel(in, y0 + 1, x0 + 1, c, height, width, channels),
                    fx);
            out[at + c] = mix(top, low, fy);
        }
    }

    private float pixel(float[] in, int y, int x, int c, int height, int width, int channels) {
        boolean inside = y >= 0 && y < height && x >= 0 && x < width;
        return inside ? in[(y * width + x) * channels + c] : background;
    }

    private static float mix(float a, float b, float t) {
        return a + t * (b - a);
    }

    /** Box and Muller (1958); SplittableRandom has no Gaussian in Java 11. */
    private static double normal(SplittableRandom random) {
        double u = 1 - random.nextDouble();
        return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * random.nextDouble());
    }
}
