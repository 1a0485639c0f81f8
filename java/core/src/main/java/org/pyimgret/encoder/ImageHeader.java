package org.pyimgret.encoder;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What ImageIO does not report of an image file: its format, its EXIF orientation, and how a PNG
 * stores its samples.
 */
final class ImageHeader {

    /** The formats that are distinguished; OTHER is whatever an ImageIO plug-in may read. */
    enum Format {
        PNG,
        GIF,
        BMP,
        JPEG,
        TIFF,
        WEBP,
        OTHER
    }

    private static final int ORIENTATION_TAG = 0x0112;
    private static final int PNG_COLOUR_TYPE = 25;
    private static final int PNG_BIT_DEPTH = 24;

    final Format format;
    int orientation = 1;

    // PNG only: the colour type, the bits of a sample, the samples of tRNS (grey or colour), and
    // type, start and length of the data of every chunk.
    int colourType;
    int bitDepth;
    int[] transparentColour = {};
    int paletteSize;
    int transparencyAt;
    final List<int[]> chunks = new ArrayList<>();

    // JPEG only: four components are inks, which Adobe may have stored as YCCK.
    int components;
    boolean ycck;
    private boolean exifSeen;

    private ImageHeader(Format format) {
        this.format = format;
    }

    static ImageHeader of(byte[] file) {
        ImageHeader info = new ImageHeader(formatOf(file));
        try {
            info.read(ByteBuffer.wrap(file));
        } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
            // Damaged metadata must not lose the image; damaged pixels are reported by the decoder.
            return info;
        }
        return info;
    }

    private static Format formatOf(byte[] file) {
        String head = new String(file, 0, Math.min(12, file.length), StandardCharsets.ISO_8859_1);
        if (head.startsWith("\u0089PNG\r\n\u001a\n")) {
            return Format.PNG;
        }
        if (head.startsWith("GIF8")) {
            return Format.GIF;
        }
        if (head.startsWith("BM")) {
            return Format.BMP;
        }
        if (head.startsWith("\u00ff\u00d8\u00ff")) {
            return Format.JPEG;
        }
        if (head.startsWith("II*\0") || head.startsWith("MM\0*")) {
            return Format.TIFF;
        }
        return head.startsWith("RIFF") && head.endsWith("WEBP") ? Format.WEBP : Format.OTHER;
    }

    private void read(ByteBuffer file) {
        switch (format) {
            case PNG:
                readPng(file);
                break;
            case JPEG:
                readJpeg(file);
                break;
            case WEBP:
                readWebp(file.order(ByteOrder.LITTLE_ENDIAN));
                break;
            case TIFF:
                orientation = orientationOf(file);
                break;
            default:
        }
    }

    private void readPng(ByteBuffer file) {
        bitDepth = file.get(PNG_BIT_DEPTH);
        colourType = file.get(PNG_COLOUR_TYPE);
        file.position(8);
        while (file.remaining() >= 8) {
            int length = file.getInt();
            int type = file.getInt();
            int start = file.position();
            ByteBuffer chunk = slice(file, length);
            if (type == 0x74524E53 && (colourType == 0 || colourType == 2)) { // tRNS
                transparencyAt = start - 4;
                transparentColour = new int[colourType == 0 ? 1 : 3];
                for (int i = 0; i < transparentColour.length; i++) {
                    transparentColour[i] = chunk.getShort() & 0xffff;
                }
            } else if (type == 0x504C5445) { // PLTE
                paletteSize = length / 3;
            } else if (type == 0x65584966) { // eXIf
                orientation = orientationOf(chunk);
            }
            file.position(file.position() + 4); // the checksum
            chunks.add(new int[] {type, start, length});
        }
    }

    private void readJpeg(ByteBuffer file) {
        file.position(2);
        while (file.remaining() >= 4) {
            int marker = file.getShort() & 0xffff;
            if (marker == 0xffff) { // a fill byte
                file.position(file.position() - 1);
                continue;
            }
            if (marker == 0xffda) { // the pixels begin
                return;
            }
            ByteBuffer segment = slice(file, (file.getShort() & 0xffff) - 2);
            readSegment(marker, segment);
        }
    }

    private void readSegment(int marker, ByteBuffer segment) {
        if (marker == 0xffe1 && !exifSeen && isExif(segment)) {
            exifSeen = true;
            segment.position(6);
            try {
                orientation = orientationOf(segment.slice());
            } catch (BufferUnderflowException | IndexOutOfBoundsException e) {
                orientation = 1;
            }
        } else if (marker == 0xffee && segment.remaining() >= 12 && segment.getInt(0) == 0x41646F62) {
            ycck = segment.get(11) == 2; // Adobe
        } else if (isFrameHeader(marker)) {
            components = segment.get(5);
        }
    }

    private static boolean isFrameHeader(int marker) {
        boolean other = marker == 0xffc4 || marker == 0xffc8 || marker == 0xffcc;
        return marker >= 0xffc0 && marker <= 0xffcf && !other;
    }

    private void readWebp(ByteBuffer file) {
        file.position(12);
        while (file.remaining() >= 8) {
            int type = file.getInt();
            int length = file.getInt();
            ByteBuffer chunk = slice(file, length);
            if (type == 0x46495845) { // EXIF, in the file's byte order
                orientation = orientationOf(isExif(chunk) ? chunk.position(6).slice() : chunk);
                return;
            }
            file.position(file.position() + (length & 1));
        }
    }

    private static boolean isExif(ByteBuffer data) {
        return data.remaining() > 6 && data.getInt(0) == 0x45786966 && data.getShort(4) == 0;
    }

    /** Cuts the next bytes off; negative or too long is an underflow. */
    private static ByteBuffer slice(ByteBuffer file, int length) {
        if (length < 0 || length > file.remaining()) {
            throw new BufferUnderflowException();
        }
        ByteBuffer part = file.slice();
        part.limit(length);
        file.position(file.position() + length);
        return part;
    }

    /** Reads the first directory of EXIF data (a TIFF file) for the orientation. */
    private static int orientationOf(ByteBuffer tiff) {
        tiff.order(tiff.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        int directory = tiff.getInt(4);
        int entries = tiff.getShort(directory) & 0xffff;
        for (int i = 0; i < entries; i++) {
            int entry = directory + 2 + 12 * i;
            if ((tiff.getShort(entry) & 0xffff) == ORIENTATION_TAG) {
                return value(tiff, entry);
            }
        }
        return 1;
    }

    private static int value(ByteBuffer tiff, int entry) {
        int type = tiff.getShort(entry + 2);
        if (tiff.getInt(entry + 4) != 1) {
            return 1;
        }
        switch (type) {
            case 1:
                return tiff.get(entry + 8) & 0xff;
            case 3:
                return tiff.getShort(entry + 8) & 0xffff;
            case 4:
                return tiff.getInt(entry + 8);
            default:
                return 1;
        }
    }
}
