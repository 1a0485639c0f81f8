package org.pyimgret.nn;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.engine.Memory;
import org.pyimgret.engine.Shape;

/**
 * Images or vectors in the caller's memory, read row by row as a network's input.
 *
 * <p>Rows are (height, width, channels), float32 as they are or uint8 through a table of values for
 * each channel, so that a collection costs a quarter of the memory. A vector is an image of one
 * line.
 */
public final class Images {

    private final long count;
    private final int height;
    private final int width;
    private final int channels;
    private final int size;
    private final JsonNode settings;
    private final String layout;
    private final FloatPointer floats;
    private final BytePointer bytes;
    private final float[] table;
    private final byte[] raw;

    /**
     * Sees images.
     *
     * @param s {@code address, dtype (uint8, float32), count, height, width, channels, layout}
     *     (dense, convolutional, recurrent) and, for uint8, {@code table}: the address of channels x
     *     256 float32 values
     */
    public Images(JsonNode s) {
        settings = s;
        layout = Json.required(s, "layout").asText();
        count = Json.required(s, "count").asLong();
        height = Json.required(s, "height").asInt();
        width = Json.required(s, "width").asInt();
        channels = Json.required(s, "channels").asInt();
        size = height * width * channels;
        long address = Json.required(s, "address").asLong();
        if (Json.required(s, "dtype").asText().equals("uint8")) {
            bytes = Memory.bytes(address, count * size);
            floats = null;
            raw = new byte[size];
            table = new float[channels * 256];
            Memory.floats(Json.required(s, "table").asLong(), table.length).get(table);
        } else {
            floats = Memory.floats(address, count * size);
            bytes = null;
            raw = null;
            table = null;
        }
    }

    /**
     * Says how many there are.
     *
     * @return the number of rows
     */
    public long count() {
        return count;
    }

    /** Sees the same images, for another thread: what is kept here has room for one. */
    Images another() {
        return new Images(settings);
    }

    /** Gives the shape of a row as the engine sees it; of sequences it knows nothing. */
    Shape engineShape() {
        return layout.equals("convolutional") ? Shape.maps(height, width, channels) : Shape.vector(size);
    }

    /** Reads rows one after the other. */
    void readAll(long first, int rows, FloatPointer out) {
        if (floats != null) {
            Memory.floats(out.address(), (long) rows * size).put(Memory.floats(address(first), (long) rows * size));
            return;
        }
        float[] row = new float[size];
        for (int i = 0; i < rows; i++) {
            read(first + i, row);
            out.position((long) i * size).put(row, 0, size);
        }
    }

    private long address(long row) {
        return floats.position(0).address() + row * size * Float.BYTES;
    }

    int height() {
        return height;
    }

    int width() {
        return width;
    }

    int channels() {
        return channels;
    }

    /**
     * Says how long a row is.
     *
     * @return values in one row
     */
    public int size() {
        return size;
    }

    /**
     * Gives the shape of a batch as the network wants it.
     *
     * @param rows how many
     * @return [rows, size], [rows, channels, height, width] or [rows, width * channels, height]
     */
    public long[] shape(long rows) {
        switch (layout) {
            case "convolutional":
                return new long[] {rows, channels, height, width};
            case "recurrent":
                return new long[] {rows, (long) width * channels, height};
            default:
                return new long[] {rows, size};
        }
    }

    /** Reads one row as (height, width, channels). */
    void read(long row, float[] out) {
        if (floats != null) {
            floats.position(row * size).get(out, 0, size);
            return;
        }
        bytes.position(row * size).get(raw, 0, size);
        if (channels == 1) {
            for (int i = 0; i < size; i++) {
                out[i] = table[raw[i] & 0xff];
            }
        } else {
            for (int i = 0, c = 0; i < size; i++) {
                out[i] = table[c * 256 + (raw[i] & 0xff)];
                c = c + 1 == channels ? 0 : c + 1;
            }
        }
    }

    /** Writes a row of (height, width, channels) as the network's layout has it. */
    void arrange(float[] row, float[] out, int at) {
        if (layout.equals("dense") || (channels == 1 && layout.equals("convolutional"))) {
            System.arraycopy(row, 0, out, at, size);
            return;
        }
        // Pixels by (channel, place) for convolutions, by (column and channel, line) for sequences.
        int outer = layout.equals("recurrent") ? height : height * width;
        int inner = size / outer;
        for (int o = 0; o < outer; o++) {
            for (int i = 0; i < inner; i++) {
                out[at + i * outer + o] = row[o * inner + i];
            }
        }
    }
}
