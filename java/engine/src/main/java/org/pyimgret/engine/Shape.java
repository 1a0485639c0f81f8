package org.pyimgret.engine;

/**
 * The size of what an operation gives for one image: feature maps, or a vector.
 *
 * <p>Feature maps lie in memory as (height, width, channels). A vector has height and width 1.
 */
public final class Shape {

    /** Rows of a feature map. */
    public final int height;

    /** Columns of a feature map. */
    public final int width;

    /** Feature maps, or the length of a vector. */
    public final int channels;

    /** Whether this is a vector, and not feature maps. */
    public final boolean vector;

    private Shape(int height, int width, int channels, boolean vector) {
        if (height < 1 || width < 1 || channels < 1) {
            throw new IllegalArgumentException("a shape of " + height + " x " + width + " x " + channels + " is empty");
        }
        Math.multiplyExact(Math.multiplyExact(height, width), channels);
        this.height = height;
        this.width = width;
        this.channels = channels;
        this.vector = vector;
    }

    /**
     * The shape of feature maps.
     *
     * @param height rows
     * @param width columns
     * @param channels maps
     * @return the shape
     */
    public static Shape maps(int height, int width, int channels) {
        return new Shape(height, width, channels, false);
    }

    /**
     * The shape of a vector.
     *
     * @param length numbers in it
     * @return the shape
     */
    public static Shape vector(int length) {
        return new Shape(1, 1, length, true);
    }

    /** @return height x width */
    int pixels() {
        return height * width;
    }

    /**
     * Counts the numbers for one image.
     *
     * @return height x width x channels
     */
    public int size() {
        return height * width * channels;
    }

    boolean equalTo(Shape other) {
        return height == other.height && width == other.width && channels == other.channels && vector == other.vector;
    }

    @Override
    public String toString() {
        return vector ? "[" + channels + "]" : "[" + height + ", " + width + ", " + channels + "]";
    }
}
