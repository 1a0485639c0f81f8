package org.pyimgret.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeysTest {

    /** The keys are those that {@code pyimgret.files.keys.key_from_path} gives. */
    @ParameterizedTest
    @CsvSource({
        "a%20b/1.png, a b/1.png",
        "100%25.png, 100%25.png",
        "caf%C3%A9.png, caf\u00e9.png",
        "caf%E9.png, caf%E9.png",
        "%E2%82, %E2%82",
        "%E2%82x, %E2%82x",
        "%FF%FE%E2%82%AC%80, %FF%FE\u20ac%80",
        "%ED%A0%80, %ED%A0%80",
        "%F0%9F%98%80%25, \ud83d\ude00%25"
    })
    void keysAreUtf8AndKeepOtherBytes(String raw, String key) {
        assertEquals(key, Keys.ofUri(raw));
        assertEquals(raw, Keys.toUri(key));
    }

    @Test
    void onlyPercentSignsAreEncodedInText() {
        assertEquals("100%25 \u00e9 #?", Keys.ofText("100% \u00e9 #?"));
        assertEquals("100% \u00e9 #?", Keys.toText("100%25 \u00e9 #?"));
    }
}
