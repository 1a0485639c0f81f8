package org.pyimgret.index;

/** Chooses which images may be found. */
@FunctionalInterface
public interface Filter {

    /**
     * Says whether an image may be found; called only for images that would be among the best so far.
     *
     * @param candidate the image, with its score
     * @return whether it may be found
     */
    boolean accepts(Match candidate);
}
