package org.pyimgret.encoder;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/**
 * Image files to upright 8-bit pixels without alpha, by ImageIO and the rules of
 * pyimgret/preprocessing/preprocessor.py (steps 1 to 5).
 */
final class ImageDecoder {

    private final long maxPixels;

    ImageDecoder(long maxPixels) {
        this.maxPixels = maxPixels;
    }

    /** Decodes the first frame of a file's content. */
    ImageData decode(byte[] file) throws ImageDecodeException {
        ImageHeader info = ImageHeader.of(file);
        Optional<PlainPng> plain = PlainPng.of(file, info);
        if (plain.isPresent()) {
            checkSize(plain.get().width, plain.get().height);
            Optional<ImageData> pixels = plain.get().decode();
            if (pixels.isPresent()) {
                return pixels.get().upright(info.orientation);
            }
        }
        return byImageIo(file, info);
    }

    private ImageData byImageIo(byte[] file, ImageHeader info) throws ImageDecodeException {
        ImageReader reader = null;
        try (ImageInputStream in =
                new MemoryCacheImageInputStream(new ByteArrayInputStream(withoutTransparency(file, info)))) {
            reader = reader(info, in);
            // A truncated image is an error here, as in Python; ImageIO only warns.
            List<String> truncations = new ArrayList<>();
            reader.addIIOReadWarningListener((source, warning) -> {
                String text = warning.toLowerCase(Locale.ROOT);
                if (text.contains("premature end") || text.contains("truncated")) {
                    truncations.add(warning);
                }
            });
            // NB: the whole stream must stay readable: the metadata are read after the pixels.
            reader.setInput(in, false, false);
            checkSize(reader.getWidth(0), reader.getHeight(0));
            ImageData pixels = read(reader, info);
            if (!truncations.isEmpty()) {
                throw new ImageDecodeException("cannot be decoded: " + truncations.get(0));
            }
            return pixels.upright(info.orientation);
        } catch (ImageDecodeException e) {
            throw e;
        } catch (IOException | RuntimeException e) {
            // Decoders throw whatever hostile bytes lead them to.
            throw new ImageDecodeException("cannot be decoded: " + e, e);
        } finally {
            if (reader != null) {
                reader.dispose();
            }
        }
    }

    /** Hides the transparent colour of a PNG from ImageIO, which fails on some before Java 17. */
    private static byte[] withoutTransparency(byte[] file, ImageHeader info) {
        if (info.transparencyAt == 0) {
            return file;
        }
        byte[] hidden = file.clone();
        hidden[info.transparencyAt] = 'x'; // an unknown chunk, which readers pass over
        return hidden;
    }

    void checkSize(long width, long height) throws ImageDecodeException {
        if (width < 1 || height < 1 || width * height > maxPixels) {
            throw new ImageDecodeException(
                    width + " x " + height + " pixels; between 1 and " + maxPixels + " are accepted.");
        }
    }

    /**
     * The JDK's own reader where it has one: what plug-ins a host brings must not change pixels.
     */
    private static ImageReader reader(ImageHeader info, ImageInputStream in) throws ImageDecodeException {
        boolean own = info.format.compareTo(ImageHeader.Format.JPEG) <= 0;
        Iterator<ImageReader> readers =
                own ? ImageIO.getImageReadersByFormatName(info.format.name()) : ImageIO.getImageReaders(in);
        while (readers.hasNext()) {
            ImageReader reader = readers.next();
            if (!own || reader.getClass().getName().startsWith("com.sun.")) {
                return reader;
            }
        }
        throw new ImageDecodeException("not an image of a format that this JVM can read; PNG, JPEG,"
                + " GIF, BMP and TIFF are, others by an ImageIO plug-in.");
    }

    private ImageData read(ImageReader reader, ImageHeader info) throws IOException {
        switch (info.format) {
            case PNG:
                return readPng(reader.read(0), info);
            case GIF:
                return readGif(reader);
            case JPEG:
                return readJpeg(reader, info);
            default:
                return PixelConversion.toPixels(reader.read(0));
        }
    }

    private static ImageData readPng(BufferedImage image, ImageHeader info) {
        if (info.colourType == 3) {
            return PixelConversion.lookUp(image, info.paletteSize);
        }
        if (info.colourType != 0 && info.colourType != 2) {
            return PixelConversion.toPixels(image);
        }
        // ImageIO makes alpha of a transparent colour, or not, by its version: do it here.
        ImageData pixels = PixelConversion.opaque(image, info.colourType == 0 ? 1 : 3);
        boolean wideGrey = info.colourType == 0 && info.bitDepth == 16;
        if (!wideGrey && info.transparentColour.length > 0) {
            PixelConversion.whiten(pixels, info.transparentColour);
        }
        return pixels;
    }

    private ImageData readGif(ImageReader reader) throws IOException {
        BufferedImage frame = reader.read(0);
        IIOMetadata metadata = reader.getImageMetadata(0);
        Node root = metadata.getAsTree(metadata.getNativeMetadataFormatName());
        Element position = find(root, "ImageDescriptor");
        int left = Integer.parseInt(position.getAttribute("imageLeftPosition"));
        int top = Integer.parseInt(position.getAttribute("imageTopPosition"));
        IIOMetadata stream = reader.getStreamMetadata();
        Node streamRoot = stream.getAsTree(stream.getNativeMetadataFormatName());
        Element screen = find(streamRoot, "LogicalScreenDescriptor");
        boolean coloured = find(streamRoot, "GlobalColorTable") != null || find(root, "LocalColorTable") != null;
        int width = Integer.parseInt(screen.getAttribute("logicalScreenWidth"));
        int height = Integer.parseInt(screen.getAttribute("logicalScreenHeight"));
        width = Math.max(width, left + frame.getWidth());
        height = Math.max(height, top + frame.getHeight());
        checkSize(width, height);
        int[] table = PixelConversion.overWhite((IndexColorModel) frame.getColorModel(), !coloured);
        return onScreen(frame, table, left, top, new ImageData(width, height, 3));
    }

    /** Lays a frame on its screen; what it leaves open is transparent, or the first colour. */
    private static ImageData onScreen(BufferedImage frame, int[] table, int left, int top, ImageData screen) {
        IndexColorModel colours = (IndexColorModel) frame.getColorModel();
        int background = table[Math.max(0, colours.getTransparentPixel())];
        int[] row = new int[frame.getWidth()];
        for (int y = 0; y < screen.height; y++) {
            boolean inside = y >= top && y < top + frame.getHeight();
            if (inside) {
                frame.getRaster().getPixels(0, y - top, row.length, 1, row);
            }
            for (int x = 0; x < screen.width; x++) {
                boolean open = !inside || x < left || x >= left + row.length;
                PixelConversion.put(screen, y * screen.width + x, open ? background : table[row[x - left]]);
            }
        }
        return screen;
    }

    private static ImageData readJpeg(ImageReader reader, ImageHeader info) throws IOException {
        if (info.components != 4) {
            return PixelConversion.toPixels(reader.read(0));
        }
        // ImageIO has no colour model for inks, but gives the samples; Adobe's are inverted.
        Raster raster = reader.readRaster(0, null);
        return info.ycck ? CmykConversion.fromYcck(raster) : CmykConversion.fromLight(raster);
    }

    private static Element find(Node parent, String name) {
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node.getNodeName().equals(name)) {
                return (Element) node;
            }
        }
        return null;
    }
}
