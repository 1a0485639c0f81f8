package org.pyimgret.nn;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.nd4j.linalg.learning.config.AMSGrad;
import org.nd4j.linalg.learning.config.AdaDelta;
import org.nd4j.linalg.learning.config.AdaGrad;
import org.nd4j.linalg.learning.config.AdaMax;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nadam;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.RmsProp;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.linalg.schedule.MapSchedule;
import org.nd4j.linalg.schedule.ScheduleType;
import org.nd4j.shade.jackson.databind.JsonNode;

/** Updaters (optimisers) with their learning-rate schedules, from settings. */
final class Updaters {

    private static final Map<String, Function<JsonNode, IUpdater>> KNOWN = Map.of(
            "adam",
                    s -> new Adam(
                            rate(s), number(s, "beta1", 0.9), number(s, "beta2", 0.999), number(s, "epsilon", 1e-8)),
            "adamax", s -> new AdaMax(rate(s)),
            "amsgrad", s -> new AMSGrad(rate(s)),
            "nadam", s -> new Nadam(rate(s)),
            "nesterovs", s -> new Nesterovs(rate(s), number(s, "momentum", 0.9)),
            "rmsprop", s -> new RmsProp(rate(s)),
            "adagrad", s -> new AdaGrad(rate(s)),
            "adadelta", s -> new AdaDelta(),
            "sgd", s -> new Sgd(rate(s)));

    private Updaters() {}

    static IUpdater create(JsonNode settings) {
        String type = Json.required(settings, "type").asText();
        IUpdater updater = Json.choose(KNOWN, "updater", type).apply(settings);
        if (Json.has(settings, "schedule")) {
            updater.setLrAndSchedule(rate(settings), schedule(settings));
        }
        return updater;
    }

    private static double rate(JsonNode settings) {
        return number(settings, "learning_rate", 1e-3);
    }

    private static double number(JsonNode settings, String field, double otherwise) {
        return Json.has(settings, field) ? settings.get(field).asDouble() : otherwise;
    }

    /** A schedule is a table from iteration to learning rate: stock, and any curve can be sampled. */
    private static ISchedule schedule(JsonNode settings) {
        Map<Integer, Double> values = new HashMap<>();
        settings.get("schedule")
                .fields()
                .forEachRemaining(e ->
                        values.put(Integer.valueOf(e.getKey()), e.getValue().asDouble()));
        return new MapSchedule(ScheduleType.ITERATION, values);
    }
}
