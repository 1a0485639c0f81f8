package org.pyimgret.encoder;

import java.io.IOException;

/** A model file that is damaged, too new, or could run code; the message says what was found. */
public final class ModelFormatException extends IOException {

    private static final long serialVersionUID = 1L;

    /**
     * Refuses a file.
     *
     * @param message what was found and what was expected
     */
    public ModelFormatException(String message) {
        super(message);
    }

    /**
     * Refuses a file because of an error met while reading it.
     *
     * @param message what was found and what was expected
     * @param cause the error
     */
    public ModelFormatException(String message, Throwable cause) {
        super(message, cause);
    }
}
