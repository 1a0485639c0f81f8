package org.pyimgret.encoder;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * A PNG file of the plainest and most usual kind: 8-bit grey or colour, in order, without
 * transparency.
 *
 * <p>ImageIO spends several times as long on the metadata and the colour model of a small image
 * as on its pixels. Whatever is of another kind, or is broken in any way, is left to it.
 */
final class PlainPng {

    private static final int SIGNATURE = 8;
    private static final int COLOUR_TYPE = 9; // in the header
    private static final int HEADER = 0x49484452; // IHDR
    private static final int DATA = 0x49444154; // IDAT
    private static final int END = 0x49454E44; // IEND
    private static final int OPTIONAL = 0x20000000; // in the type of a chunk that may be ignored

    final int width;
    final int height;
    private final int channels;
    private final byte[] file;
    private final List<int[]> data;

    private PlainPng(byte[] file, ByteBuffer header, List<int[]> data) {
        this.file = file;
        this.data = data;
        width = header.getInt();
        height = header.getInt();
        channels = header.get(COLOUR_TYPE) == 0 ? 1 : 3;
    }

    /** Looks through the chunks; gives nothing when ImageIO is to read the file. */
    static Optional<PlainPng> of(byte[] file, ImageHeader info) {
        boolean plain = info.bitDepth == 8 && (info.colourType == 0 || info.colourType == 2);
        if (info.format != ImageHeader.Format.PNG || !plain || info.transparencyAt != 0) {
            return Optional.empty();
        }
        ByteBuffer chunks = ByteBuffer.wrap(file).position(SIGNATURE);
        List<int[]> data = new ArrayList<>();
        try {
            int length = chunks.getInt(SIGNATURE);
            if (next(chunks) != HEADER || length != 13 || !inOrder(chunks)) {
                return Optional.empty();
            }
            int before = HEADER;
            for (int type = HEADER; type != END; before = type) {
                int from = chunks.position() + 8;
                type = next(chunks);
                boolean apart = type == DATA && before != DATA && !data.isEmpty();
                boolean known = type == DATA || type == END || (type & OPTIONAL) != 0;
                if (!known || apart) {
                    return Optional.empty();
                }
                if (type == DATA) {
                    data.add(new int[] {from, chunks.position() - 4 - from});
                }
            }
        } catch (BufferUnderflowException | IllegalArgumentException | IndexOutOfBoundsException e) {
            return Optional.empty();
        }
        ByteBuffer header = ByteBuffer.wrap(file, SIGNATURE + 8, 13).slice();
        return Optional.of(new PlainPng(file, header, data));
    }

    /** Goes behind the next chunk; returns its type, or 0 when its checksum is wrong. */
    private static int next(ByteBuffer chunks) {
        int length = chunks.getInt();
        int from = chunks.position();
        int type = chunks.getInt();
        chunks.position(Math.addExact(from + 4, length));
        CRC32 sum = new CRC32();
        sum.update(chunks.array(), from, 4 + length);
        return chunks.getInt() == (int) sum.getValue() ? type : 0;
    }

    /** Whether the header, which was just read, says deflated rows, from top to bottom. */
    private static boolean inOrder(ByteBuffer chunks) {
        int end = chunks.position() - 4;
        return chunks.get(end - 3) == 0 && chunks.get(end - 2) == 0 && chunks.get(end - 1) == 0;
    }

    /** Gives the pixels, or nothing when the data are not what they should be. */
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
        Inflater inflater = new Inflater();
        try {
            int at = 0;
            for (int[] part : data) {
                inflater.setInput(file, part[0], part[1]);
                while (at < out.length && !inflater.needsInput()) {
                    int got = inflater.inflate(out, at, out.length - at);
                    if (got == 0 && (inflater.finished() || inflater.needsDictionary())) {
                        return false;
                    }
                    at += got;
                }
            }
            return at == out.length;
        } catch (DataFormatException e) {
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
