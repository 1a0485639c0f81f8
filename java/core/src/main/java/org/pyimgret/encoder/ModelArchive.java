package org.pyimgret.encoder;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;

/** The zip around a model: refuses entries that have no business there, reads the others. */
final class ModelArchive implements Closeable {

    static final String CONFIGURATION = "configuration.json";
    static final String COEFFICIENTS = "coefficients.bin";
    static final String UPDATER = "updaterState.bin";
    private static final String METADATA = "pyimgret.json";

    private static final int MAX_ENTRIES = 1_000;
    private static final int MAX_JSON_BYTES = 32 << 20;
    // Weights are noise to a compressor; far beyond this ratio a big entry is a bomb.
    private static final long BOMB_BYTES = 64L << 20;
    private static final long BOMB_RATIO = 100;
    private static final byte[] SERIALIZED_JAVA = {(byte) 0xAC, (byte) 0xED, 0, 5};

    private final Path path;
    private final ZipFile zip;

    private ModelArchive(Path path, ZipFile zip) {
        this.path = path;
        this.zip = zip;
    }

    static ModelArchive open(Path path) throws IOException {
        if (!Files.exists(Objects.requireNonNull(path, "path of the model"))) {
            throw new NoSuchFileException(path.toString());
        }
        ModelArchive archive = new ModelArchive(path, openZip(path));
        try {
            archive.check();
        } catch (IOException | RuntimeException e) {
            archive.close();
            throw e;
        }
        return archive;
    }

    private static ZipFile openZip(Path path) throws IOException {
        try {
            return new ZipFile(path.toFile());
        } catch (ZipException | IllegalArgumentException e) {
            throw new ModelFormatException(path + " is not a model zip: " + e.getMessage(), e);
        }
    }

    private void check() throws IOException {
        if (zip.size() > MAX_ENTRIES) {
            throw refuse("holds " + zip.size() + " entries; a model has four");
        }
        Set<String> seen = new HashSet<>();
        List<ZipEntry> entries = zip.stream().collect(Collectors.toList());
        for (ZipEntry entry : entries) {
            checkName(entry.getName());
            if (!seen.add(entry.getName())) {
                throw refuse("holds the entry " + quote(entry.getName()) + " twice");
            }
            checkContent(entry);
        }
    }

    private void checkName(String name) throws ModelFormatException {
        String slashed = name.replace('\\', '/');
        if (slashed.startsWith("/") || ("/" + slashed + "/").contains("/../") || name.contains(":")) {
            throw refuse("holds an entry that points out of the zip: " + quote(name));
        }
        if (slashed.equals("preprocessor.bin") || slashed.startsWith("objects/")) {
            throw refuse("holds serialized Java objects (" + quote(name) + "), which could run code");
        }
    }

    private void checkContent(ZipEntry entry) throws IOException {
        long packed = entry.getCompressedSize();
        if (entry.getSize() > BOMB_BYTES && packed >= 0 && entry.getSize() / BOMB_RATIO > packed) {
            throw refuse(bomb(entry.getName()));
        }
        try (InputStream in = zip.getInputStream(entry)) {
            if (Arrays.equals(in.readNBytes(SERIALIZED_JAVA.length), SERIALIZED_JAVA)) {
                throw refuse("holds serialized Java objects (" + quote(entry.getName()) + "), which could run code");
            }
        } catch (ZipException e) {
            throw new ModelFormatException(path + ": " + quote(entry.getName()) + ": " + e.getMessage(), e);
        }
    }

    boolean has(String name) {
        return zip.getEntry(name) != null;
    }

    /**
     * Opens an entry, which must exist, for reading; fails when more comes out than a bomb may
     * give.
     */
    InputStream stream(String name) throws IOException {
        ZipEntry entry = zip.getEntry(name);
        if (entry == null) {
            throw refuse("has no entry " + quote(name) + "; a Deeplearning4j model has one");
        }
        long most = Math.max(BOMB_BYTES, entry.getCompressedSize() * BOMB_RATIO);
        return new LimitedStream(zip.getInputStream(entry), most, path + " " + bomb(name));
    }

    /** Reads a whole entry, for the small ones. */
    byte[] bytes(String name) throws IOException {
        try (InputStream in = stream(name)) {
            byte[] bytes = in.readNBytes(MAX_JSON_BYTES + 1);
            if (bytes.length > MAX_JSON_BYTES) {
                throw refuse("has a " + quote(name) + " of more than " + MAX_JSON_BYTES + " bytes");
            }
            return bytes;
        } catch (ZipException e) {
            throw new ModelFormatException(path + ": " + quote(name) + " is damaged: " + e.getMessage(), e);
        }
    }

    /** The content of pyimgret.json, null in a zip that plain Deeplearning4j wrote. */
    String metadata() throws IOException {
        return has(METADATA) ? new String(bytes(METADATA), StandardCharsets.UTF_8) : null;
    }

    /** An exception that names the file. */
    ModelFormatException refuse(String what) {
        return refuse(what, null);
    }

    ModelFormatException refuse(String what, Throwable cause) {
        return new ModelFormatException(path + " " + what + ".", cause);
    }

    private static String bomb(String name) {
        return "has an entry " + quote(name) + " that unpacks to more than " + BOMB_RATIO + " times its packed size";
    }

    private static String quote(String name) {
        String shown = name.length() > 100 ? name.substring(0, 100) + "…" : name;
        return "\"" + shown + "\"";
    }

    @Override
    public void close() throws IOException {
        zip.close();
    }
}
