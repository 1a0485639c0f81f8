package org.pyimgret.encoder;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.Memory;

/**
 * Reads a row of numbers that {@code Nd4j.write} wrote.
 *
 * <p>{@code Nd4j.read} believes the shape that a file states, however few numbers follow, and
 * native code then reads beyond them; here the shape must be a row of exactly the expected length.
 */
final class Coefficients {

    private static final int CHUNK = 1 << 16;

    private final ModelArchive archive;
    private final String entry;
    private final DataInputStream in;

    private Coefficients(ModelArchive archive, String entry, InputStream in) {
        this.archive = archive;
        this.entry = entry;
        this.in = new DataInputStream(new BufferedInputStream(in, 1 << 16));
    }

    /** Reads a row whose length the network knows; a length below 0 takes any. */
    static INDArray read(ModelArchive archive, String entry, long expected, long most) throws IOException {
        try (InputStream in = archive.stream(entry)) {
            return new Coefficients(archive, entry, in).row(expected, most);
        } catch (ModelFormatException e) {
            throw e;
        } catch (IOException | IllegalArgumentException e) {
            throw archive.refuse("has a damaged " + entry + ": " + e, e);
        }
    }

    private INDArray row(long expected, long most) throws IOException {
        long length = rowLength();
        if (expected >= 0 && length != expected || length > most) {
            throw archive.refuse(
                    "has " + length + " numbers in " + entry + " where its network has " + Math.max(expected, most));
        }
        modernHeader();
        if (in.readLong() != length) {
            throw archive.refuse("has a damaged " + entry + ": shape and data differ in length");
        }
        DataType type = DataType.valueOf(in.readUTF());
        if (type != DataType.FLOAT && type != DataType.DOUBLE) {
            throw archive.refuse("holds weights of type " + type + "; FLOAT and DOUBLE can be read");
        }
        INDArray row = Nd4j.createUninitializedDetached(type, 1, length);
        fill(row, type, length);
        return row;
    }

    /**
     * The length that the shape information states: rank, shape, strides, options, stride, order.
     */
    private long rowLength() throws IOException {
        modernHeader();
        long words = in.readLong();
        in.readUTF();
        long rank = in.readLong();
        if (rank < 1 || rank > 2 || words != 2 * rank + 4) {
            throw archive.refuse("has a damaged " + entry + ": its numbers are not in one row");
        }
        long first = rank == 2 ? in.readLong() : 1;
        long length = in.readLong();
        if (first != 1 || length < 1) {
            throw archive.refuse("has a damaged " + entry + ": its shape is " + first + " x " + length);
        }
        for (long i = 0; i < rank + 3; i++) {
            in.readLong();
        }
        return length;
    }

    private void modernHeader() throws IOException {
        String mode = in.readUTF();
        if (!mode.equals("LONG_SHAPE") && !mode.equals("MIXED_DATA_TYPES")) {
            throw archive.refuse("has a " + entry + " in the form " + mode
                    + " of an old Deeplearning4j; save it again with 1.0.0-M2.1");
        }
    }

    private void fill(INDArray row, DataType type, long length) throws IOException {
        byte[] bytes = new byte[CHUNK * type.width()];
        for (long at = 0; at < length; at += CHUNK) {
            int count = (int) Math.min(CHUNK, length - at);
            in.readFully(bytes, 0, count * type.width());
            ByteBuffer source = ByteBuffer.wrap(bytes, 0, count * type.width());
            long address = row.data().address() + at * type.width();
            ByteBuffer target = Memory.bytes(address, source.remaining()).asByteBuffer();
            if (type == DataType.FLOAT) {
                target.asFloatBuffer().put(source.asFloatBuffer());
            } else {
                target.asDoubleBuffer().put(source.asDoubleBuffer());
            }
        }
    }
}
