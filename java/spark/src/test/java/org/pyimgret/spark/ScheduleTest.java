package org.pyimgret.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.pyimgret.nn.Json;

class ScheduleTest {

    @Test
    void scheduleIsStretchedToTheNumberOfIterations() {
        JsonNode network = Json.parse("{\"updater\": {\"type\": \"adam\", \"schedule\": {\"0\": 0.1, \"50\":"
                + " 0.5}, \"schedule_iterations\": 100}}");
        JsonNode table = Schedule.stretch(network, 30).get("updater").get("schedule");
        assertEquals(Json.parse("{\"0\": 0.1, \"15\": 0.5}"), table);
    }

    @Test
    void constantRateIsUnchanged() {
        JsonNode network = Json.parse("{\"updater\": {\"type\": \"adam\"}}");
        assertSame(network, Schedule.stretch(network, 30));
    }
}
