package org.pyimgret.spark;

import java.io.Serializable;

/** One line of the result: a key with its vector, or with the reason why there is none. */
public final class Embedding implements Serializable {

    private static final long serialVersionUID = 1L;

    private String key;
    private float[] vector;
    private String reason;
    private boolean broken;

    /** For Spark, which fills the fields. */
    public Embedding() {}

    static Embedding of(String key, float[] vector) {
        Embedding embedding = new Embedding();
        embedding.key = key;
        embedding.vector = vector;
        return embedding;
    }

    static Embedding broken(String key, String reason) {
        Embedding embedding = new Embedding();
        embedding.key = key;
        embedding.reason = reason;
        embedding.broken = true;
        return embedding;
    }

    /**
     * Gives the name.
     *
     * @return path below the folder, or number of the row
     */
    public String getKey() {
        return key;
    }

    /**
     * Sets the name.
     *
     * @param key path below the folder, or number of the row
     */
    public void setKey(String key) {
        this.key = key;
    }

    /**
     * Gives the embedding.
     *
     * @return of length 1, or null
     */
    public float[] getVector() {
        return vector;
    }

    /**
     * Sets the embedding.
     *
     * @param vector of length 1, or null
     */
    public void setVector(float[] vector) {
        this.vector = vector;
    }

    /**
     * Gives the reason why there is no embedding.
     *
     * @return null for a good image
     */
    public String getReason() {
        return reason;
    }

    /**
     * Sets the reason why there is no embedding.
     *
     * @param reason null for a good image
     */
    public void setReason(String reason) {
        this.reason = reason;
    }

    /**
     * Says whether the image could not be encoded.
     *
     * @return the column that divides the output
     */
    public boolean isBroken() {
        return broken;
    }

    /**
     * Says whether the image could not be encoded.
     *
     * @param broken the column that divides the output
     */
    public void setBroken(boolean broken) {
        this.broken = broken;
    }
}
