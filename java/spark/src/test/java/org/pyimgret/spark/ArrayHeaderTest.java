package org.pyimgret.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArrayHeaderTest {

    private static final String DIGITS = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 2), }\n";

    private static byte[] npy(String header) {
        byte[] text = header.getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer bytes = ByteBuffer.allocate(10 + text.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.ISO_8859_1));
        bytes.put((byte) 1).put((byte) 0);
        return bytes.putShort((short) text.length).put(text).array();
    }

    private static ArrayHeader read(byte[] bytes) throws IOException {
        return ArrayHeader.read(new ByteArrayInputStream(bytes), "file");
    }

    @Test
    void headerWrittenByNumPyIsRead() throws IOException {
        byte[] bytes = npy(DIGITS);
        ArrayHeader header = read(bytes);
        assertTrue(header.isBytes());
        assertEquals(3, header.rows());
        assertEquals(4, header.size());
        assertEquals(bytes.length, header.offset());
        header.check(bytes.length + 12, "file");
    }

    @Test
    void idxFloatsAreBigEndian() throws IOException {
        ArrayHeader header = read(new byte[] {0, 0, 13, 2, 0, 0, 0, 5, 0, 0, 0, 7});
        assertFalse(header.isBytes());
        assertEquals(ByteOrder.BIG_ENDIAN, header.order());
        assertEquals(28, header.rowBytes());
        header.check(12 + 5 * 28, "file");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
                "{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }",
                "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }",
                "nonsense"
            })
    void otherTypesAndOrdersAreRefused(String header) {
        assertThrows(IOException.class, () -> read(npy(header)));
    }

    @Test
    void gzipIsRefusedWithTheRemedy() {
        byte[] gzip = {0x1f, (byte) 0x8b, 8, 0};
        IOException error = assertThrows(IOException.class, () -> read(gzip));
        assertTrue(error.getMessage().contains("unpack it first"), error.getMessage());
    }

    @Test
    void truncatedFileIsRefused() throws IOException {
        byte[] bytes = npy(DIGITS);
        ArrayHeader header = read(bytes);
        IOException error = assertThrows(IOException.class, () -> header.check(bytes.length + 11, "file"));
        assertTrue(error.getMessage().contains("its header says"), error.getMessage());
    }

    @ParameterizedTest
    @ValueSource(strings = {"()", "(3,)", "(0, 5)", "(2, 0)", "(3, 99999999999)", "(1, 65536, 65536)"})
    void shapesWithoutRowsAreRefused(String shape) throws IOException {
        ArrayHeader header = read(npy("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }"));
        assertThrows(IOException.class, () -> header.check(1000, "file"));
    }
}
