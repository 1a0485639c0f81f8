package org.pyimgret.encoder;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/** A stream that refuses to give more than it should: what a header says cannot be trusted. */
final class LimitedStream extends FilterInputStream {

    private final String message;
    private long left;

    LimitedStream(InputStream in, long limit, String message) {
        super(in);
        this.left = limit;
        this.message = message;
    }

    @Override
    public int read() throws IOException {
        int value = super.read();
        count(value < 0 ? 0 : 1);
        return value;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        int got = super.read(bytes, offset, length);
        count(Math.max(got, 0));
        return got;
    }

    @Override
    public boolean markSupported() {
        return false;
    }

    private void count(int got) throws ModelFormatException {
        left -= got;
        if (left < 0) {
            throw new ModelFormatException(message + ".");
        }
    }
}
