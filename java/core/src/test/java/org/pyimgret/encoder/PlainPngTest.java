package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Plain PNG files, read without ImageIO, beside what ImageIO reads. */
class PlainPngTest {

    private static final int GREY = BufferedImage.TYPE_BYTE_GRAY;
    private static final int COLOUR = BufferedImage.TYPE_3BYTE_BGR;

    @ParameterizedTest
    @CsvSource({"1,1", "28,28", "1,300", "300,1", "151,97", "400,333"})
    void pixelsEqualImageIos(int width, int height) throws IOException {
        for (int type : new int[] {GREY, COLOUR}) {
            byte[] file = written(image(width, height, type), false);
            ImageData pixels = read(file).orElseThrow();
            ImageData expected = byImageIo(file);
            assertEquals(expected.channels, pixels.channels);
            assertArrayEquals(expected.samples, pixels.samples);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4})
    void everyRowFilterIsUndone(int filter) throws IOException {
        for (int colourType : new int[] {0, 2}) {
            int row = 19 * (colourType + 1);
            byte[] rows = new byte[23 * (row + 1)];
            new Random(filter).nextBytes(rows);
            for (int y = 0; y < 23; y++) {
                rows[y * (row + 1)] = (byte) filter;
            }
            byte[] file = file(19, 23, colourType, rows);
            ImageData expected = byImageIo(file);
            assertArrayEquals(expected.samples, read(file).orElseThrow().samples);
        }
    }

    @Test
    void otherKindsAreLeftToImageIo() throws IOException {
        assertTrue(read(written(image(9, 9, COLOUR), true)).isEmpty(), "interlaced");
        for (int type : new int[] {
            BufferedImage.TYPE_INT_ARGB,
            BufferedImage.TYPE_USHORT_GRAY,
            BufferedImage.TYPE_BYTE_INDEXED,
            BufferedImage.TYPE_BYTE_BINARY
        }) {
            assertTrue(read(written(image(9, 9, type), false)).isEmpty(), "type " + type);
        }
    }

    @Test
    void damagedFilesAreLeftToImageIo() throws IOException {
        byte[] file = written(image(28, 28, GREY), false);
        for (int length = 8; length < file.length; length++) {
            assertTrue(read(Arrays.copyOf(file, length)).isEmpty(), length + " bytes");
        }
        for (int at = 8; at < file.length; at++) {
            byte[] changed = file.clone();
            changed[at] ^= 4;
            assertTrue(read(changed).isEmpty(), "byte " + at);
        }
        assertTrue(read(file(4, 4, 0, new byte[4 * 5 - 1])).isEmpty(), "a row too short");
        assertTrue(read(file(4, 4, 0, new byte[] {5, 0, 0, 0, 0})).isEmpty(), "no such filter");
    }

    @Test
    void tooManyPixelsAreRefusedBeforeAllocation() throws IOException {
        byte[] file = file(2_000_000_000, 2_000_000_000, 0, new byte[9]);
        Exception error = assertThrows(ImageDecodeException.class, () -> new ImageDecoder(100).decode(file));
        assertTrue(error.getMessage().contains("between 1 and 100"), error.getMessage());
    }

    private static ImageData byImageIo(byte[] file) throws IOException {
        return PixelConversion.toPixels(ImageIO.read(new ByteArrayInputStream(file)));
    }

    private static Optional<ImageData> read(byte[] file) {
        return PlainPng.of(file, ImageHeader.of(file)).flatMap(PlainPng::decode);
    }

    /** Smooth and noisy by turns, so that a writer chooses every filter. */
    private static BufferedImage image(int width, int height, int type) {
        BufferedImage image = new BufferedImage(width, height, type);
        Random random = new Random(width);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int smooth = (x + y) * 0x010203 & 0xffffff;
                int rgb = y / 8 % 2 == 0 ? smooth : random.nextInt();
                image.setRGB(x, y, 0x80000000 | rgb & 0xffffff);
            }
        }
        return image;
    }

    private static byte[] written(BufferedImage image, boolean interlaced) throws IOException {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
        ImageWriteParam settings = writer.getDefaultWriteParam();
        settings.setProgressiveMode(interlaced ? ImageWriteParam.MODE_DEFAULT : ImageWriteParam.MODE_DISABLED);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ImageOutputStream out = ImageIO.createImageOutputStream(bytes)) {
            writer.setOutput(out);
            writer.write(null, new IIOImage(image, null, null), settings);
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }

    /** A file of rows that are filtered already, their data in two pieces. */
    private static byte[] file(int width, int height, int colourType, byte[] rows) throws IOException {
        Deflater deflater = new Deflater();
        deflater.setInput(rows);
        deflater.finish();
        byte[] data = new byte[rows.length + 100];
        int length = deflater.deflate(data);
        deflater.end();
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
        byte[] header = new byte[13];
        ByteBuffer.wrap(header).putInt(width).putInt(height).put((byte) 8);
        header[9] = (byte) colourType;
        chunk(file, "IHDR", header);
        chunk(file, "IDAT", Arrays.copyOf(data, length / 2));
        chunk(file, "IDAT", Arrays.copyOfRange(data, length / 2, length));
        chunk(file, "IEND", new byte[0]);
        return file.toByteArray();
    }

    private static void chunk(ByteArrayOutputStream file, String type, byte[] content) throws IOException {
        byte[] all = new byte[12 + content.length];
        ByteBuffer buffer = ByteBuffer.wrap(all).putInt(content.length);
        buffer.put(type.getBytes(StandardCharsets.US_ASCII)).put(content);
        CRC32 sum = new CRC32();
        sum.update(all, 4, 4 + content.length);
        buffer.putInt((int) sum.getValue());
        file.write(all);
    }
}
