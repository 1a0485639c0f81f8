package org.pyimgret.index;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.shade.jackson.core.JsonProcessingException;
import org.nd4j.shade.jackson.core.type.TypeReference;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/** One image of a search result. Immutable. */
public final class Match {

    private static final ObjectMapper JSON = new ObjectMapper();

    /** Of equal scores the one of the later row is the worse. */
    static final Comparator<Match> WORST_FIRST =
            Comparator.comparingDouble(Match::score).thenComparing(match -> -match.row);

    private final int row;
    private final String id;
    private final String key;
    private final float score;
    private final String metadata;

    Match(int row, String id, String key, float score, String metadata) {
        this.row = row;
        this.id = id;
        this.key = key;
        this.score = score;
        this.metadata = metadata;
    }

    /**
     * The image's key.
     *
     * @return the key, as Python stored it
     */
    public String key() {
        return key;
    }

    /**
     * The opaque id, which never changes.
     *
     * @return the id
     */
    public String id() {
        return id;
    }

    /**
     * The cosine with the query.
     *
     * @return -1 to 1, higher is nearer
     */
    public float score() {
        return score;
    }

    /**
     * What was stored with the image.
     *
     * @return the metadata, values as JSON has them; a copy
     */
    public Map<String, Object> metadata() {
        try {
            return JSON.readValue(metadata, new TypeReference<LinkedHashMap<String, Object>>() {});
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("the metadata of " + key + " are not JSON", e);
        }
    }

    @Override
    public String toString() {
        return key + " " + score;
    }
}
