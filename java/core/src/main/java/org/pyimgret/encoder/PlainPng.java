package org.pyimgret.encoder;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

/**
 * A PNG file of the most usual kind: 8-bit grey or colour, not interlaced, without transparency.
 *
 * <p>ImageIO spends several times as long on the metadata and the colour model of a small image
 * as on its pixels. Every other kind, and every damaged file, is left to it.
 */
final class PlainPng {

    private static final int HEADER = 0x49484452; // IHDR
    private static final int DATA = 0x49444154; // IDAT
    private static final int END = 0x49454E44; // IEND
    private static final int OPTIONAL = 0x20000000; // in the type of a chunk that may be ignored
    private static final int BUFFER = 1 << 13;

    final int width;
    final int height;
    private final int channels;
    private final byte[] file;
    private final List<int[]> data; // type, start and length of each part

    private PlainPng(byte[] file, int channels, List<int[]> data) {
        this.file = file;
        this.data = data;
        this.channels = channels;
        width = ByteBuffer.wrap(file).getInt(16);
        height = ByteBuffer.wrap(file).getInt(20);
    }

    /** Checks the chunks; returns nothing when ImageIO is to read the file. */
    static Optional<PlainPng> of(byte[] file, ImageHeader info) {
        boolean plain = info.bitDepth == 8 && (info.colourType == 0 || info.colourType == 2);
        if (!plain || info.transparencyAt != 0) {
            return Optional.empty();
        }
        List<int[]> data = new ArrayList<>();
        int before = 0;
        for (int[] chunk : info.chunks) {
            int type = chunk[0];
            boolean known = type == DATA || type == END || (type & OPTIONAL) != 0;
            boolean expected = before == 0 ? type == HEADER && chunk[2] == 13 && inOrder(file) : known;
            boolean apart = type == DATA && before != DATA && !data.isEmpty();
            if (!expected || apart || !isIntact(file, chunk[1], chunk[2])) {
                return Optional.empty();
            }
            if (type == DATA) {
                data.add(chunk);
            } else if (type == END) {
                return Optional.of(new PlainPng(file, info.colourType == 0 ? 1 : 3, data));
            }
            before = type;
        }
        return Optional.empty();
    }

    /** Whether the header says deflated rows, from top to bottom. */
    private static boolean inOrder(byte[] file) {
        return file[26] == 0 && file[27] == 0 && file[28] == 0;
    }

    private static boolean isIntact(byte[] file, int start, int length) {
        CRC32 sum = new CRC32();
        sum.update(file, start - 4, 4 + length);
        return ByteBuffer.wrap(file).getInt(start + length) == (int) sum.getValue();
    }

    /** Returns the pixels, or nothing when the data are damaged. */
    Optional<ImageData> decode() {
        int row = width * channels;
        byte[] filtered = new byte[Math.multiplyExact(height, row + 1)];
        if (!inflate(filtered)) {
            return Optional.empty();
        }
        ImageData pixels = new ImageData(width, height, channels);
        byte[] out = pixels.samples;
        for (int y = 0; y < height; y++) {
            int from = y * (row + 1);
            System.arraycopy(filtered, from + 1, out, y * row, row);
            if (!unfilter(filtered[from], out, y * row, row)) {
                return Optional.empty();
            }
        }
        return Optional.of(pixels);
    }

    private boolean inflate(byte[] out) {
        List<InputStream> parts = new ArrayList<>();
        data.forEach(chunk -> parts.add(new ByteArrayInputStream(file, chunk[1], chunk[2])));
        InputStream deflated = new SequenceInputStream(Collections.enumeration(parts));
        Inflater inflater = new Inflater();
        try (InputStream in = new InflaterInputStream(deflated, inflater, BUFFER)) {
            return in.readNBytes(out, 0, out.length) == out.length;
        } catch (IOException e) {
            return false;
        } finally {
            inflater.end();
        }
    }

    /** Adds to a row's bytes what their filter predicts of the neighbours (PNG, section 9). */
    private boolean unfilter(int filter, byte[] out, int at, int row) {
        switch (filter) {
            case 0:
                return true;
            case 1:
                for (int i = at + channels; i < at + row; i++) {
                    out[i] += out[i - channels];
                }
                return true;
            case 2:
                for (int i = at; at > 0 && i < at + row; i++) {
                    out[i] += out[i - row];
                }
                return true;
            case 3:
                average(out, at, row);
                return true;
            case 4:
                paeth(out, at, row);
                return true;
            default:
                return false;
        }
    }

    private void average(byte[] out, int at, int row) {
        for (int i = at; i < at + row; i++) {
            int left = i - at < channels ? 0 : out[i - channels] & 0xff;
            int up = at == 0 ? 0 : out[i - row] & 0xff;
            out[i] += (byte) (left + up >> 1);
        }
    }

    private void paeth(byte[] out, int at, int row) {
        for (int i = at; i < at + row; i++) {
            boolean first = i - at < channels;
            int left = first ? 0 : out[i - channels] & 0xff;
            int up = at == 0 ? 0 : out[i - row] & 0xff;
            int corner = first || at == 0 ? 0 : out[i - row - channels] & 0xff;
            int toLeft = Math.abs(up - corner);
            int toUp = Math.abs(left - corner);
            int toCorner = Math.abs(left + up - 2 * corner);
            boolean sideways = toLeft <= toUp && toLeft <= toCorner;
            out[i] += (byte) (sideways ? left : toUp <= toCorner ? up : corner);
        }
    }
}
