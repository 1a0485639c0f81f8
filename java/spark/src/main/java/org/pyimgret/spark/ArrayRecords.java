package org.pyimgret.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Iterator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.nd4j.shade.jackson.databind.JsonNode;

/** The rows of one array in a file: IDX or NumPy's .npy, uint8 through a table, or float32. */
final class ArrayRecords extends Records {

    private static final long serialVersionUID = 1L;
    private static final int CHUNK_BYTES = 1 << 20;

    private final String path;
    private final ArrayHeader header;
    private final int channels;
    private final float[] table;

    private ArrayRecords(String path, ArrayHeader header, float[] table, Configuration hadoop) {
        super(hadoop);
        this.path = path;
        this.header = header;
        this.table = table;
        this.channels = table == null ? 1 : table.length / 256;
    }

    static ArrayRecords open(JsonNode input, Configuration hadoop) throws IOException {
        Path path = new Path(Settings.required(input, "path").asText());
        FileSystem files = path.getFileSystem(hadoop);
        try (FSDataInputStream in = files.open(path)) {
            ArrayHeader header = ArrayHeader.read(in, path.toString());
            header.check(files.getFileStatus(path).getLen(), path.toString());
            float[] table = header.isBytes() ? table(input.path("preprocessing")) : null;
            return new ArrayRecords(path.toString(), header, table, hadoop);
        }
    }

    /** What each level of a channel means: (p / 255 - mean) / std in float64, rounded once. */
    private static float[] table(JsonNode preprocessing) {
        JsonNode mean = preprocessing.path("mean");
        JsonNode std = preprocessing.path("std");
        float[] values = new float[Math.max(1, mean.size()) * 256];
        for (int i = 0; i < values.length; i++) {
            double level = (i & 255) / 255.0;
            values[i] = (float)
                    ((level - mean.path(i >> 8).asDouble(0)) / std.path(i >> 8).asDouble(1));
        }
        return values;
    }

    @Override
    int count() {
        return header.rows();
    }

    @Override
    int size() {
        return header.size();
    }

    @Override
    int chunkRows() {
        return Math.max(1, CHUNK_BYTES / header.rowBytes());
    }

    @Override
    String key(int row) {
        return Integer.toString(row);
    }

    @Override
    String folder(int row) {
        return "";
    }

    @Override
    Object load(int first, int rows) throws IOException {
        byte[] bytes = new byte[rows * header.rowBytes()];
        Path file = new Path(path);
        try (FSDataInputStream in = file.getFileSystem(hadoop()).open(file)) {
            in.readFully(header.offset() + (long) first * header.rowBytes(), bytes);
        }
        return bytes;
    }

    @Override
    void copy(Object chunk, int row, float[] out) {
        byte[] bytes = (byte[]) chunk;
        int from = row * header.rowBytes();
        if (table == null) {
            ByteBuffer.wrap(bytes, from, header.rowBytes())
                    .order(header.order())
                    .asFloatBuffer()
                    .get(out, 0, size());
            return;
        }
        for (int i = 0, c = 0; i < out.length; i++) {
            out[i] = table[c * 256 + (bytes[from + i] & 0xff)];
            c = c + 1 == channels ? 0 : c + 1;
        }
    }

    @Override
    Iterator<Outcome> read(int first, int rows) {
        int step = chunkRows();
        return IntStream.iterate(0, at -> at < rows, at -> at + step)
                .boxed()
                .flatMap(at -> chunk(first + at, Math.min(step, rows - at)))
                .iterator();
    }

    private Stream<Outcome> chunk(int first, int rows) {
        Object chunk;
        try {
            chunk = load(first, rows);
        } catch (IOException e) {
            // NB: the file or the disk failed, not an image: the task fails and is tried again.
            throw new UncheckedIOException(path + " cannot be read", e);
        }
        return IntStream.range(0, rows).mapToObj(i -> {
            float[] values = new float[size()];
            copy(chunk, i, values);
            return Outcome.good(first + i, values);
        });
    }
}
