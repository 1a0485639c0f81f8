package org.pyimgret.index;

import java.io.IOException;

/** The directory of an index cannot be read or trusted; the message says what to do. */
public final class IndexStoreException extends IOException {

    private static final long serialVersionUID = 1L;

    IndexStoreException(String message) {
        super(message);
    }

    IndexStoreException(String message, Throwable cause) {
        super(message, cause);
    }
}
