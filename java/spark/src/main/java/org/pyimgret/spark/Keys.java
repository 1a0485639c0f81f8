package org.pyimgret.spark;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;

/**
 * File names as text, whatever bytes the file system allows; as {@code pyimgret.files.keys}.
 *
 * <p>A key is a path in UTF-8 in which bytes that are not UTF-8, and the percent sign, are
 * percent-encoded. A URI percent-encodes the other bytes as well.
 */
final class Keys {

    private Keys() {}

    /** The key of a path that is plain text already. */
    static String ofText(String path) {
        return path.replace("%", "%25");
    }

    /** The path of a key, if it is plain text. */
    static String toText(String key) {
        return key.replace("%25", "%");
    }

    /** The key of a path in a URI's raw form. */
    static String ofUri(String raw) {
        // NB: Latin-1 gives each byte as one character; a form would read a plus sign as a space.
        String latin1 = URLDecoder.decode(raw.replace("+", "%2B"), StandardCharsets.ISO_8859_1);
        ByteBuffer bytes = ByteBuffer.wrap(latin1.getBytes(StandardCharsets.ISO_8859_1));
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
                key.append(String.format("%%%02X", bytes.get()));
            }
        }
    }

    /** The raw form for a URI of the path with this key. */
    static String toUri(String key) {
        String form = URLEncoder.encode(key, StandardCharsets.UTF_8);
        return form.replace("+", "%20").replace("%2F", "/").replace("%25", "%");
    }
}
