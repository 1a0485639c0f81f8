package org.pyimgret.spark;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the first bytes of an IDX or .npy file say: type, shape, and where the values begin.
 *
 * <p>IDX: two zero bytes, the type, the number of dimensions, and each as a big-endian int32. .npy:
 * the magic, a version, and a Python dictionary as text (NumPy's format 1.0 to 3.0).
 */
final class ArrayHeader implements Serializable {

    private static final long serialVersionUID = 1L;
    private static final byte[] NPY = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final Pattern DESCR = Pattern.compile("'descr':\\s*'([^']+)'");
    private static final Pattern ORDER = Pattern.compile("'fortran_order':\\s*(True|False)");
    private static final Pattern SHAPE = Pattern.compile("'shape':\\s*\\(([^)]*)\\)");
    private static final int MAX_HEADER = 1 << 16;
    private static final int MAX_SIZE = 1 << 26;

    private final boolean bytes;
    private final boolean bigEndian;
    private final long offset;
    private final long[] shape;

    private ArrayHeader(boolean bytes, boolean bigEndian, long offset, long[] shape) {
        this.bytes = bytes;
        this.bigEndian = bigEndian;
        this.offset = offset;
        this.shape = shape;
    }

    static ArrayHeader read(InputStream in, String name) throws IOException {
        byte[] start = new byte[4];
        try {
            DataInputStream data = new DataInputStream(in);
            data.readFully(start);
            if (start[0] == NPY[0] && start[1] == NPY[1]) {
                return npy(data, name);
            }
            if (start[0] == 0x1f && (start[1] & 0xff) == 0x8b) {
                throw refuse(name, "is packed by gzip, which cannot be read in parts: unpack it first");
            }
            if (start[0] != 0 || start[1] != 0) {
                throw refuse(name, "is neither an IDX nor a .npy file");
            }
            return idx(data, start[2], start[3], name);
        } catch (EOFException e) {
            throw refuse(name, "ends within its header");
        }
    }

    private static ArrayHeader idx(DataInputStream data, int type, int dimensions, String name) throws IOException {
        if (type != 0x08 && type != 0x0D) {
            throw refuse(name, "holds IDX type " + type + "; expected uint8 (8) or float32 (13)");
        }
        long[] shape = new long[dimensions & 0xff];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = data.readInt();
        }
        return new ArrayHeader(type == 0x08, true, 4 + 4L * shape.length, shape);
    }

    private static ArrayHeader npy(DataInputStream data, String name) throws IOException {
        byte[] rest = new byte[4];
        data.readFully(rest);
        boolean large = rest[2] > 1;
        byte[] length = new byte[large ? 4 : 2];
        data.readFully(length);
        ByteBuffer number = ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN);
        int size = large ? number.getInt() : number.getShort() & 0xffff;
        if (size < 0 || size > MAX_HEADER) {
            throw refuse(name, "has a header of " + size + " bytes");
        }
        byte[] text = new byte[size];
        data.readFully(text);
        return npy(new String(text, StandardCharsets.ISO_8859_1), 8L + length.length + size, name);
    }

    private static ArrayHeader npy(String header, long offset, String name) throws IOException {
        String type = find(DESCR, header, name);
        if (!type.equals("|u1") && !type.equals("<f4") && !type.equals(">f4")) {
            throw refuse(name, "holds " + type + "; expected uint8 (|u1) or float32 (<f4)");
        }
        if (find(ORDER, header, name).equals("True")) {
            throw refuse(name, "is in Fortran order; save numpy.ascontiguousarray of it");
        }
        long[] shape = Arrays.stream(find(SHAPE, header, name).split(","))
                .map(String::trim)
                .filter(s -> !s.isEmpty())
                .mapToLong(Long::parseLong)
                .toArray();
        return new ArrayHeader(type.equals("|u1"), type.equals(">f4"), offset, shape);
    }

    private static String find(Pattern pattern, String text, String name) throws IOException {
        Matcher matcher = pattern.matcher(text);
        if (!matcher.find()) {
            throw refuse(name, "has a header that is not NumPy's: " + text.trim());
        }
        return matcher.group(1);
    }

    private static IOException refuse(String name, String what) {
        return new IOException(name + " " + what + ".");
    }

    /** Refuses what is no array of rows, and a file that is shorter or longer than it says. */
    void check(long length, String name) throws IOException {
        boolean sensible = shape.length >= 2
                && Arrays.stream(shape).allMatch(n -> n >= 0 && n <= Integer.MAX_VALUE)
                && shape[0] > 0;
        double values = Arrays.stream(shape).skip(1).asDoubleStream().reduce(1, (a, b) -> a * b);
        if (!sensible || values < 1 || values > MAX_SIZE) {
            throw refuse(name, "has the shape " + Arrays.toString(shape) + "; expected rows");
        }
        long expected = offset + (long) rows() * rowBytes();
        if (length != expected) {
            throw refuse(name, "is " + length + " bytes long; its header says " + expected);
        }
    }

    boolean isBytes() {
        return bytes;
    }

    ByteOrder order() {
        return bigEndian ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    }

    long offset() {
        return offset;
    }

    int rows() {
        return (int) shape[0];
    }

    int size() {
        return (int) Arrays.stream(shape).skip(1).reduce(1, (a, b) -> a * b);
    }

    int rowBytes() {
        return size() * (bytes ? 1 : Float.BYTES);
    }
}
