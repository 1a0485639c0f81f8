package org.pyimgret.spark;

import java.util.ArrayList;
import java.util.List;

/**
 * Assigns the batches of an epoch to workers: between two averagings each gets the same number.
 *
 * <p>Only the last round may be smaller; a worker without a batch takes no part in it, so that the
 * average counts none that did nothing.
 */
final class Rounds {

    private Rounds() {}

    /** One round: the names of the batches, worker by worker. */
    static final class Round {
        final List<String> batches;
        final int workers;

        private Round(List<String> batches, int workers) {
            this.batches = batches;
            this.workers = workers;
        }

        int batchesPerWorker() {
            return batches.size() / workers;
        }
    }

    static List<Round> of(long epoch, int count, int batchSize, int workers, int frequency) {
        List<String> names = new ArrayList<>();
        for (int first = 0; first < count; first += batchSize) {
            int rows = Math.min(batchSize, count - first);
            // NB: a batch of one image has no variance to normalise by.
            if (rows > 1 || count == 1) {
                names.add(ExampleLoader.name(epoch, first, rows));
            }
        }
        return assign(names, workers, frequency);
    }

    private static List<Round> assign(List<String> names, int workers, int frequency) {
        List<Round> rounds = new ArrayList<>();
        int at = 0;
        while (at < names.size()) {
            int left = names.size() - at;
            int taking = Math.min(workers, left);
            int each = Math.min(frequency, left / taking);
            rounds.add(new Round(new ArrayList<>(names.subList(at, at + taking * each)), taking));
            at += taking * each;
        }
        return rounds;
    }
}
