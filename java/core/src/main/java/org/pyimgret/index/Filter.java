package org.pyimgret.index;

/** Chooses which pictures may be found. */
@FunctionalInterface
public interface Filter {

    /**
     * Tells whether a picture counts; asked only for pictures that would be among the best so far.
     *
     * @param candidate the picture, with its score
     * @return whether it may be found
     */
    boolean accepts(Match candidate);
}
