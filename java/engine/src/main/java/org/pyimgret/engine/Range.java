package org.pyimgret.engine;

/** Neighbouring numbers of one image's result: what one worker computes, or needs. */
final class Range {

    final int from;
    final int to;

    Range(int from, int to) {
        this.from = from;
        this.to = to;
    }

    int length() {
        return to - from;
    }

    boolean isEmpty() {
        return to <= from;
    }

    boolean contains(Range other) {
        return other.isEmpty() || from <= other.from && other.to <= to;
    }
}
