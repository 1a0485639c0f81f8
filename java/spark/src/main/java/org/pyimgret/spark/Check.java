package org.pyimgret.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.datavec.spark.util.SerializableHadoopConfig;

/** Decodes every image once, on the executors, to find the broken ones before training. */
final class Check {

    private static final int ROWS = 256;

    private Check() {}

    /** An image that cannot be read. */
    static final class Broken implements Serializable {

        private static final long serialVersionUID = 1L;
        private final int row;
        private final String reason;

        private Broken(int row, String reason) {
            this.row = row;
            this.reason = reason;
        }

        int row() {
            return row;
        }

        String reason() {
            return reason;
        }
    }

    static List<Broken> run(JavaSparkContext spark, Records all) {
        Broadcast<Records> records = spark.broadcast(all);
        Broadcast<SerializableHadoopConfig> hadoop =
                spark.broadcast(new SerializableHadoopConfig(spark.hadoopConfiguration()));
        List<Integer> starts = new ArrayList<>();
        for (int first = 0; first < all.count(); first += ROWS) {
            starts.add(first);
        }
        return spark.parallelize(starts, starts.size())
                .flatMap(first -> broken(records.value(), hadoop.value().getConfiguration(), first)
                        .iterator())
                .collect();
    }

    private static List<Broken> broken(Records records, Configuration hadoop, int first) {
        List<Broken> found = new ArrayList<>();
        int rows = Math.min(ROWS, records.count() - first);
        Iterator<Records.Outcome> outcomes = records.read(hadoop, first, rows);
        while (outcomes.hasNext()) {
            Records.Outcome outcome = outcomes.next();
            if (outcome.reason() != null) {
                found.add(new Broken(outcome.row(), outcome.reason()));
            }
        }
        return found;
    }

    static Set<Integer> rows(List<Broken> found) {
        return found.stream().map(Broken::row).collect(Collectors.toSet());
    }
}
