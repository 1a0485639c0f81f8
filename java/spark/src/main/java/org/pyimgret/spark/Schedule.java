package org.pyimgret.spark;

import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.node.ObjectNode;

/** Learning-rate schedules, stretched to the length of the training. */
final class Schedule {

    private Schedule() {}

    /**
     * Stretches the table of a network's updater.
     *
     * @param network settings, whose updater may have a {@code schedule} (iteration to rate) and
     *     then says in {@code schedule_iterations} how long it is
     * @param iterations how long the training is
     * @return the settings with the table over that many iterations
     */
    static JsonNode stretch(JsonNode network, int iterations) {
        JsonNode updater = Settings.required(network, "updater");
        if (!updater.hasNonNull("schedule")) {
            return network;
        }
        double factor =
                iterations / Settings.required(updater, "schedule_iterations").asDouble();
        ObjectNode result = network.deepCopy();
        ObjectNode table = ((ObjectNode) result.get("updater")).putObject("schedule");
        updater.get("schedule")
                .fields()
                .forEachRemaining(
                        e -> table.set(Long.toString(Math.round(Integer.parseInt(e.getKey()) * factor)), e.getValue()));
        return result;
    }
}
