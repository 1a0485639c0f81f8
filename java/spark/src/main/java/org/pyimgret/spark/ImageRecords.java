package org.pyimgret.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.encoder.ImageDecodeException;
import org.pyimgret.encoder.ImagePreprocessor;

/**
 * The files below a folder, in the order of their keys; a file that is not an image is a failure
 * like an image that cannot be decoded.
 *
 * <p>The driver holds the keys; the files are read by the executors.
 */
final class ImageRecords extends Records {

    private static final long serialVersionUID = 1L;
    private static final int CHUNK_ROWS = 16;

    private final ImageFolder folder;
    private final String[] keys;
    private final String preprocessing;
    private final int hiddenSkipped;
    private final int size;
    private transient ImagePreprocessor preprocessor;

    private ImageRecords(
            ImageFolder folder, String[] keys, int hiddenSkipped, String preprocessing, Configuration hadoop)
            throws IOException {
        super(hadoop);
        this.folder = folder;
        this.keys = keys;
        this.hiddenSkipped = hiddenSkipped;
        this.preprocessing = preprocessing;
        ImagePreprocessor made = ImagePreprocessor.fromJson(preprocessing);
        this.size = made.height() * made.width() * made.channels();
    }

    static ImageRecords list(JsonNode input, Configuration hadoop) throws IOException {
        String path = Settings.required(input, "path").asText();
        ImageFolder folder = ImageFolder.of(path, hadoop);
        List<String> keys = new ArrayList<>();
        int hiddenSkipped = folder.list(hadoop, input.path("hidden").asBoolean(false), keys);
        if (keys.isEmpty()) {
            throw new FileNotFoundException(path + " holds no files (" + hiddenSkipped + " are hidden)");
        }
        String[] sorted = keys.stream().sorted().toArray(String[]::new);
        String preprocessing = Settings.required(input, "preprocessing").toString();
        return new ImageRecords(folder, sorted, hiddenSkipped, preprocessing, hadoop);
    }

    /** The same images without some of them. */
    ImageRecords without(Set<Integer> rows) throws IOException {
        String[] rest = IntStream.range(0, keys.length)
                .filter(i -> !rows.contains(i))
                .mapToObj(i -> keys[i])
                .toArray(String[]::new);
        return new ImageRecords(folder, rest, hiddenSkipped, preprocessing, hadoop());
    }

    @Override
    int hiddenSkipped() {
        return hiddenSkipped;
    }

    @Override
    int count() {
        return keys.length;
    }

    @Override
    int size() {
        return size;
    }

    @Override
    int chunkRows() {
        return CHUNK_ROWS;
    }

    @Override
    String key(int row) {
        return keys[row];
    }

    @Override
    String folder(int row) {
        int slash = keys[row].indexOf('/');
        return slash < 0 ? "" : Keys.toText(keys[row].substring(0, slash));
    }

    @Override
    Object load(int first, int rows) throws IOException {
        float[] values = new float[rows * size];
        for (int i = 0; i < rows; i++) {
            System.arraycopy(decode(first + i), 0, values, i * size, size);
        }
        return values;
    }

    @Override
    void copy(Object chunk, int row, float[] out) {
        System.arraycopy((float[]) chunk, row * size, out, 0, size);
    }

    @Override
    Iterator<Outcome> read(int first, int rows) {
        return IntStream.range(first, first + rows).mapToObj(this::outcome).iterator();
    }

    private Outcome outcome(int row) {
        try {
            return Outcome.good(row, decode(row));
        } catch (ImageDecodeException | FileNotFoundException e) {
            return Outcome.failed(row, String.valueOf(e.getMessage()));
        } catch (IOException e) {
            // NB: the file system failed, not the image: the task fails and is tried again.
            throw new UncheckedIOException(keys[row] + " cannot be read", e);
        }
    }

    private float[] decode(int row) throws IOException {
        if (preprocessor == null) {
            preprocessor = ImagePreprocessor.fromJson(preprocessing);
        }
        return preprocessor.apply(folder.read(hadoop(), keys[row]));
    }
}
