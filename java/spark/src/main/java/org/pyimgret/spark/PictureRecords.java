package org.pyimgret.spark;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.encoder.ImageDecodeException;
import org.pyimgret.encoder.ImagePreprocessor;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The files below a folder, hidden ones left out, in the order of their names.
 *
 * <p>The driver holds the names; the files are read by the executors.
 */
final class PictureRecords implements Records {

    private static final long serialVersionUID = 1L;
    private static final int CHUNK_ROWS = 16;
    private static final long MAX_FILE = 1L << 30;

    private final String root;
    private final String[] names;
    private final String preprocessing;
    private final int size;
    private transient ImagePreprocessor preprocessor;

    private PictureRecords(String root, String[] names, String preprocessing) throws IOException {
        this.root = root;
        this.names = names;
        this.preprocessing = preprocessing;
        ImagePreprocessor made = ImagePreprocessor.fromJson(preprocessing);
        this.size = made.height() * made.width() * made.channels();
    }

    static PictureRecords list(JsonNode input, Configuration hadoop) throws IOException {
        Path folder = new Path(Settings.required(input, "path").asText());
        FileSystem files = folder.getFileSystem(hadoop);
        String root = files.makeQualified(folder).toString().replaceAll("/+$", "");
        List<String> names = new ArrayList<>();
        RemoteIterator<LocatedFileStatus> all = files.listFiles(folder, true);
        while (all.hasNext()) {
            String name = all.next().getPath().toString().substring(root.length() + 1);
            if (isVisible(name)) {
                names.add(name);
            }
        }
        if (names.isEmpty()) {
            throw new FileNotFoundException(root + " holds no files");
        }
        String[] sorted = names.stream().sorted().toArray(String[]::new);
        return new PictureRecords(
                root, sorted, Settings.required(input, "preprocessing").toString());
    }

    /** Whatever is not hidden; what is no picture is told with the broken ones. */
    private static boolean isVisible(String name) {
        return !name.startsWith(".") && !name.contains("/.");
    }

    /** The same pictures without some of them. */
    PictureRecords without(Set<Integer> rows) throws IOException {
        String[] rest =
                IntStream.range(0, names.length)
                        .filter(i -> !rows.contains(i))
                        .mapToObj(i -> names[i])
                        .toArray(String[]::new);
        return new PictureRecords(root, rest, preprocessing);
    }

    @Override
    public int count() {
        return names.length;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public int chunkRows() {
        return CHUNK_ROWS;
    }

    @Override
    public String key(int row) {
        return names[row].replace("%", "%25");
    }

    @Override
    public String folder(int row) {
        int slash = names[row].indexOf('/');
        return slash < 0 ? "" : names[row].substring(0, slash);
    }

    @Override
    public Object load(Configuration hadoop, int first, int rows) throws IOException {
        float[] values = new float[rows * size];
        for (int i = 0; i < rows; i++) {
            System.arraycopy(decode(hadoop, first + i), 0, values, i * size, size);
        }
        return values;
    }

    @Override
    public void copy(Object chunk, int row, float[] out) {
        System.arraycopy((float[]) chunk, row * size, out, 0, size);
    }

    @Override
    public Iterator<Outcome> read(Configuration hadoop, int first, int rows) {
        return IntStream.range(first, first + rows).mapToObj(i -> outcome(hadoop, i)).iterator();
    }

    private Outcome outcome(Configuration hadoop, int row) {
        try {
            return Outcome.good(row, decode(hadoop, row));
        } catch (ImageDecodeException | FileNotFoundException e) {
            return Outcome.broken(row, String.valueOf(e.getMessage()));
        } catch (IOException e) {
            // NB: the file system failed, not the picture: the task fails and is tried again.
            throw new UncheckedIOException(root + "/" + names[row] + " cannot be read", e);
        }
    }

    private float[] decode(Configuration hadoop, int row) throws IOException {
        if (preprocessor == null) {
            preprocessor = ImagePreprocessor.fromJson(preprocessing);
        }
        return preprocessor.apply(content(hadoop, new Path(root + "/" + names[row])));
    }

    private static byte[] content(Configuration hadoop, Path file) throws IOException {
        FileSystem files = file.getFileSystem(hadoop);
        long length = files.getFileStatus(file).getLen();
        if (length > MAX_FILE) {
            throw new ImageDecodeException(
                    "is " + length + " bytes long; at most " + MAX_FILE + ".");
        }
        try (FSDataInputStream in = files.open(file)) {
            byte[] bytes = new byte[(int) length];
            in.readFully(0, bytes);
            return bytes;
        }
    }
}
