package org.pyimgret.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ImagePreprocessorTest {

    private static final String GREY =
            "{\"mode\":\"L\",\"height\":2,\"width\":3,\"resize\":\"stretch\",\"short_side\":null,"
                    + "\"filter\":\"bilinear\",\"mean\":[0.5],\"std\":[0.25]}";

    @TempDir
    Path folder;

    @Test
    void levelsAreScaledByMeanAndDeviation() throws IOException {
        BufferedImage image = new BufferedImage(3, 2, BufferedImage.TYPE_BYTE_GRAY);
        image.getRaster().setSamples(0, 0, 3, 2, 0, new int[] {0, 51, 102, 153, 204, 255});
        float[] expected = {-2, -1.2f, -0.4f, 0.4f, 1.2f, 2};
        assertArrayEquals(expected, ImagePreprocessor.fromJson(GREY).apply(image), 1e-6f);
    }

    @Test
    void pathBytesAndImageGiveTheSameTensor() throws IOException {
        ImagePreprocessor preprocessor = ImagePreprocessor.fromJson(GREY);
        for (int type : new int[] {1, 2, 5, 6, 10, 11, 13}) {
            BufferedImage image = noise(type);
            byte[] file = png(image);
            Path path = Files.write(folder.resolve("image.png"), file);
            float[] tensor = preprocessor.apply(file);
            assertArrayEquals(tensor, preprocessor.apply(path), "type " + type);
            assertArrayEquals(tensor, preprocessor.apply(image), "type " + type);
        }
    }

    @Test
    void alphaIsCompositedOnWhite() throws IOException {
        BufferedImage clear = new BufferedImage(3, 2, BufferedImage.TYPE_INT_ARGB);
        float[] white = new float[6];
        Arrays.fill(white, 2);
        assertArrayEquals(white, ImagePreprocessor.fromJson(GREY).apply(clear));
    }

    @Test
    void truncatedFilesAreRefused() throws IOException {
        ImagePreprocessor preprocessor = ImagePreprocessor.fromJson(GREY);
        for (String format : new String[] {"png", "jpg", "gif", "bmp"}) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ImageIO.write(noise(BufferedImage.TYPE_INT_RGB), format, out);
            byte[] file = out.toByteArray();
            preprocessor.apply(file);
            for (int length = 0; length < file.length * 9 / 10; length += 1 + file.length / 50) {
                byte[] part = Arrays.copyOf(file, length);
                assertThrows(ImageDecodeException.class, () -> preprocessor.apply(part), format);
            }
        }
    }

    @Test
    void damagedFilesAreDecodedOrRefused() throws IOException {
        ImagePreprocessor preprocessor = ImagePreprocessor.fromJson(GREY);
        Random random = new Random(1);
        int refused = 0;
        for (String format : new String[] {"png", "jpg", "gif", "bmp"}) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ImageIO.write(noise(BufferedImage.TYPE_INT_RGB), format, out);
            for (int i = 0; i < 200; i++) {
                byte[] file = out.toByteArray();
                for (int k = 0; k < 4; k++) {
                    file[random.nextInt(file.length)] = (byte) random.nextInt();
                }
                try {
                    preprocessor.apply(file);
                } catch (ImageDecodeException e) {
                    refused++;
                }
            }
        }
        assertTrue(refused > 100, "" + refused);
    }

    @Test
    void fileThatIsNotAnImageIsRefused() throws IOException {
        ImagePreprocessor preprocessor = fromJson(GREY);
        assertMessage("format", () -> preprocessor.apply("hello".getBytes()));
        assertMessage("regular", () -> preprocessor.apply(folder));
        byte[] bomb = png(noise(BufferedImage.TYPE_INT_RGB));
        bomb[17] = bomb[21] = 100; // 6.5 million pixels across and down
        assertMessage("accepted", () -> preprocessor.apply(bomb));
    }

    @Test
    void definitionOfNewerVersionIsRefused() {
        assertRefused("newer", GREY.replace("{", "{\"gamma\": 2, "));
        assertRefused("lacks [mean]", GREY.replace("\"mean\":[0.5],", ""));
        assertRefused("filter", GREY.replace("bilinear", "sinc"));
        assertRefused("height", GREY.replace(":2,", ":0,"));
        assertRefused("std", GREY.replace("[0.25]", "[0]"));
        assertRefused("mean", GREY.replace("[0.5]", "[0.5, 1]"));
        assertRefused("short_side", GREY.replace("stretch", "crop"));
        assertRefused("not JSON", "{");
        assertRefused("object", "[]");
    }

    private static void assertRefused(String message, String json) {
        Exception error = assertThrows(ModelFormatException.class, () -> ImagePreprocessor.fromJson(json));
        assertTrue(error.getMessage().contains(message), error.getMessage());
    }

    private static void assertMessage(String message, org.junit.jupiter.api.function.Executable call) {
        Exception error = assertThrows(ImageDecodeException.class, call);
        assertTrue(error.getMessage().contains(message), error.getMessage());
    }

    private static ImagePreprocessor fromJson(String json) {
        try {
            return ImagePreprocessor.fromJson(json);
        } catch (ModelFormatException e) {
            throw new AssertionError(e);
        }
    }

    private static BufferedImage noise(int type) {
        BufferedImage image = new BufferedImage(31, 17, type);
        Random random = new Random(type);
        for (int y = 0; y < 17; y++) {
            for (int x = 0; x < 31; x++) {
                image.setRGB(x, y, random.nextInt());
            }
        }
        assertEquals(type, image.getType());
        return image;
    }

    private static byte[] png(BufferedImage image) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertTrue(ImageIO.write(image, "png", out));
        return out.toByteArray();
    }
}
