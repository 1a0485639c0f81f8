package org.pyimgret.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RoundsTest {

    @ParameterizedTest
    @CsvSource({"5000,64,2,5", "5000,64,7,3", "100,128,4,5", "129,128,2,1", "640,64,3,4", "1,64,2,5"})
    void everyBatchIsAssignedOnceAndWorkersGetTheSameNumber(int count, int batch, int workers, int frequency) {
        List<Rounds.Round> rounds = Rounds.of(3, count, batch, workers, frequency);
        List<String> dealt = rounds.stream().flatMap(r -> r.batches.stream()).collect(Collectors.toList());
        List<String> expected = Stream.iterate(0, first -> first < count, first -> first + batch)
                .filter(first -> count == 1 || count - first > 1)
                .map(first -> ExampleLoader.name(3, first, Math.min(batch, count - first)))
                .collect(Collectors.toList());
        assertEquals(expected, dealt);
        for (Rounds.Round round : rounds) {
            assertEquals(0, round.batches.size() % round.workers);
            assertTrue(round.workers <= workers && round.batchesPerWorker() <= frequency);
        }
    }

    @Test
    void onlyTheLastRoundHasFewerWorkers() {
        List<Rounds.Round> rounds = Rounds.of(0, 700, 100, 2, 2);
        assertEquals(List.of(2, 2, 1), rounds.stream().map(r -> r.workers).collect(Collectors.toList()));
        assertEquals(4, rounds.stream().mapToInt(Rounds.Round::batchesPerWorker).sum());
    }
}
