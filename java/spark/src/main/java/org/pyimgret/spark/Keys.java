package org.pyimgret.spark;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;

/**
 * Names of images as text, whatever bytes the file system allows; as {@code pyimgret.files.keys}.
 *
 * <p>A key is a path in UTF-8 in which bytes that are no UTF-8, and the percent sign, are
 * percent-encoded. A URI percent-encodes the other bytes as well.
 */
final class Keys {

    private static final String PLAIN = "-._~/%";

    private Keys() {}

    /** The key of a path that is plain text already. */
    static String ofText(String path) {
        return path.replace("%", "%25");
    }

    /** The path whose key this is, if it is plain text. */
    static String toText(String key) {
        return key.replace("%25", "%");
    }

    /** The key of a path in a URI's raw form. */
    static String ofUri(String raw) {
        ByteBuffer bytes = decode(raw);
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        StringBuilder key = new StringBuilder();
        while (true) {
            CharBuffer text = CharBuffer.allocate(bytes.remaining());
            CoderResult result = decoder.reset().decode(bytes, text, true);
            key.append(ofText(text.flip().toString()));
            if (result.isUnderflow()) {
                return key.toString();
            }
            for (int i = 0; i < result.length(); i++) {
                key.append(encoded(bytes.get()));
            }
        }
    }

    /** The raw form for a URI of the path whose key this is. */
    static String toUri(String key) {
        StringBuilder raw = new StringBuilder();
        for (byte b : key.getBytes(StandardCharsets.UTF_8)) {
            boolean plain = b > 0 && (Character.isLetterOrDigit(b) || PLAIN.indexOf(b) >= 0);
            raw.append(plain ? String.valueOf((char) b) : encoded(b));
        }
        return raw.toString();
    }

    private static String encoded(byte b) {
        return String.format("%%%02X", b);
    }

    private static ByteBuffer decode(String raw) {
        byte[] bytes = new byte[raw.length()];
        int length = 0;
        for (int i = 0; i < raw.length(); i++) {
            boolean encoded = raw.charAt(i) == '%';
            int value = encoded ? Integer.parseInt(raw, i + 1, i + 3, 16) : raw.charAt(i);
            bytes[length++] = (byte) value;
            i += encoded ? 2 : 0;
        }
        return ByteBuffer.wrap(bytes, 0, length);
    }
}
