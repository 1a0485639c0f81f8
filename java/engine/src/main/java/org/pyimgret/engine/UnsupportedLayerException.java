package org.pyimgret.engine;

/** A network has a layer that the engine does not run; Deeplearning4j itself is to be used. */
public final class UnsupportedLayerException extends Exception {

    private static final long serialVersionUID = 1L;

    /**
     * Says which layer, and why.
     *
     * @param layer its name
     * @param reason what about it the engine does not do
     */
    public UnsupportedLayerException(String layer, String reason) {
        super("layer '" + layer + "': " + reason);
    }
}
