package org.pyimgret.engine;

import java.util.Deque;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * A compiled graph: the calls that each worker makes, and how much memory they need.
 *
 * <p>Safe for use by several threads: each run takes an {@link Execution} with memory of its own,
 * and leaves it for the next.
 */
final class Program implements AutoCloseable {

    /** The calls of each worker that shares in an image. */
    final List<List<Step>> steps;

    final Value input;
    final Value output;
    final long bytes;
    private final Resources resources;
    private final Deque<Execution> idle = new ConcurrentLinkedDeque<>();

    Program(List<List<Step>> steps, Value input, Value output, long bytes, Resources resources) {
        this.steps = List.copyOf(steps);
        this.input = input;
        this.output = output;
        this.bytes = bytes;
        this.resources = resources;
    }

    /** Images that go through at a time. */
    int images() {
        return input.images;
    }

    /** Workers that share in an image. */
    int parts() {
        return steps.size();
    }

    /** Takes memory for a run; to be given back by {@link #release}. */
    Execution acquire() {
        Execution execution = idle.poll();
        return execution == null ? new Execution(this) : execution;
    }

    void release(Execution execution) {
        // NB: the last one first: its memory is still in a cache.
        idle.push(execution);
    }

    /** Frees the primitives and the memory; none may run any more. */
    @Override
    public void close() {
        idle.forEach(Execution::close);
        idle.clear();
        resources.close();
    }
}
