package org.pyimgret.encoder;

import java.io.IOException;

/** Bytes that cannot be read as an image. */
public final class ImageDecodeException extends IOException {

    private static final long serialVersionUID = 1L;

    /**
     * Reports an image that cannot be read.
     *
     * @param message what was found and what was expected
     */
    public ImageDecodeException(String message) {
        super(message);
    }

    /**
     * Reports an image that a decoder failed on.
     *
     * @param message what was found and what was expected
     * @param cause the decoder's error
     */
    public ImageDecodeException(String message, Throwable cause) {
        super(message, cause);
    }
}
