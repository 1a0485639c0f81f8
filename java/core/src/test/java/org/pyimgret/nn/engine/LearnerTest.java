package org.pyimgret.nn.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.NetworkFactory;

/** The engine against Deeplearning4j's own training, number by number. */
class LearnerTest {

    private static final String PLAIN =
            "{'type': 'Dense', 'n_out': 37, 'activation': 'relu'}, {'type': 'Dense', 'n_out': 18, 'activation': 'tanh'},"
                    + "{'type': 'Dense', 'n_out': 21, 'activation': 'sigmoid'}";
    private static final String NORMALISED =
            "{'type': 'Dense', 'n_out': 37, 'bias': false}, {'type': 'BatchNormalization'},"
                    + "{'type': 'Activation', 'activation': 'relu'},"
                    + "{'type': 'Dense', 'n_out': 19, 'activation': 'tanh'}, {'type': 'BatchNormalization', 'decay': 0.8}";
    private static final String SIGMOID =
            "{'type': 'Output', 'n_out': 12, 'activation': 'sigmoid', 'loss': 'binary_cross_entropy'}";
    private static final String LINEAR = "{'type': 'Output', 'n_out': 12, 'loss': 'mean_squared_error'}";
    private static final String SOFTMAX =
            "{'type': 'Output', 'n_out': 12, 'activation': 'softmax', 'loss': 'categorical_cross_entropy'}";

    @ParameterizedTest
    @ValueSource(
            strings = {
                PLAIN + "," + SIGMOID,
                PLAIN + "," + LINEAR,
                NORMALISED + "," + SIGMOID,
                NORMALISED + "," + SOFTMAX
            })
    void trainsAsDeeplearning4jDoes(String layers) {
        assertTrainsAlike("{'type': 'adam', 'learning_rate': 0.01, 'schedule': {'0': 0.02, '3': 0.005}}", layers);
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'type': 'nesterovs', 'learning_rate': 0.05}", "{'type': 'sgd', 'learning_rate': 0.1}"})
    void knowsTheOtherUpdaters(String updater) {
        assertTrainsAlike(updater, NORMALISED + "," + LINEAR);
    }

    @Test
    void countsPenaltiesAsDeeplearning4jDoes() {
        String penalised = "{'type': 'Dense', 'n_out': 20, 'activation': 'relu', 'l1': 0.001, 'l2': 0.01},";
        assertTrainsAlike("{'type': 'adam', 'learning_rate': 0.01}", penalised + LINEAR);
    }

    @Test
    void weighsClassesAsDeeplearning4jDoes() {
        String weights = "[0.5, 2, 1, 1, 1, 3, 1, 1, 0.25, 1, 1, 1]";
        assertTrainsAlike(
                "{'type': 'adam', 'learning_rate': 0.01}",
                PLAIN + "," + SOFTMAX.replace("}", ", 'class_weights': " + weights + "}"));
    }

    @Test
    void leavesOutAsManyAsDropoutSays() {
        float[] x = new float[100_000];
        java.util.Arrays.fill(x, 1f);
        Dropped.apply(x, x.length, 5, 0, 0.7f);
        double sum = 0;
        int left = 0;
        for (float v : x) {
            sum += v;
            left += v == 0f ? 1 : 0;
        }
        assertEquals(0.3, left / 1e5, 0.005);
        assertEquals(1.0, sum / 1e5, 0.01);
    }

    @Test
    void gradientsThroughDropoutEqualFiniteDifferences() {
        String dropped =
                "{'type': 'Dense', 'n_out': 23, 'activation': 'tanh'}, {'type': 'Dropout', 'rate': 0.4}," + LINEAR;
        INDArray x = Nd4j.rand(new long[] {33, 30});
        INDArray y = Nd4j.rand(new long[] {33, 12});
        INDArray before = network("{'type': 'sgd', 'learning_rate': 1.0}", dropped)
                .params()
                .dup();
        INDArray gradient = before.sub(after(dropped, x, y, 0, 0, 9).params()).reshape(before.length());
        for (int place = 0; place < before.length(); place += 41) {
            double up = after(dropped, x, y, place, 1e-2, 9).score();
            double down = after(dropped, x, y, place, -1e-2, 9).score();
            assertEquals((up - down) / 2e-2, gradient.getDouble(place), 1e-3, "parameter " + place);
        }
        assertTrue(after(dropped, x, y, 0, 0, 10).score()
                != after(dropped, x, y, 0, 0, 9).score());
    }

    private static MultiLayerNetwork after(
            String layers, INDArray x, INDArray y, int place, double change, long chance) {
        MultiLayerNetwork network = network("{'type': 'sgd', 'learning_rate': 1.0}", layers);
        INDArray parameters = network.params().reshape(network.numParams());
        parameters.putScalar(place, parameters.getDouble(place) + change);
        try (Learner learner = Learner.of(network, 33).orElseThrow()) {
            learner.fit(x, y, chance);
        }
        return network;
    }

    @Test
    void leavesWhatItDoesNotKnowToDeeplearning4j() {
        for (String layer : new String[] {
            "{'type': 'Dense', 'n_out': 5, 'activation': 'elu'},",
            "{'type': 'Dense', 'n_out': 5, 'dropout': 0.5},",
            "{'type': 'Dropout', 'rate': 0.5},"
        }) {
            assertFalse(
                    Learner.of(network("{'type': 'adam'}", layer + LINEAR), 8).isPresent(), layer);
        }
        assertFalse(Learner.of(network("{'type': 'adagrad'}", PLAIN + "," + LINEAR), 8)
                .isPresent());
    }

    private static void assertTrainsAlike(String updater, String layers) {
        Nd4j.getRandom().setSeed(3);
        MultiLayerNetwork stock = network(updater, layers);
        MultiLayerNetwork ours = network(updater, layers);
        try (Learner learner = Learner.of(ours, 33).orElseThrow()) {
            for (int i = 0; i < 6; i++) {
                INDArray x = Nd4j.rand(new long[] {i == 5 ? 20 : 33, 30});
                INDArray y = targets(layers, x.size(0));
                stock.fit(x, y);
                double score = learner.fit(x, y, 0);
                assertEquals(stock.score(), score, 1e-4 * Math.abs(stock.score()), "loss of iteration " + i);
                assertEquals(score, ours.score(), 0);
            }
        }
        assertClose(stock.params(), ours.params());
        if (stock.getUpdater().getStateViewArray() != null) {
            assertClose(
                    stock.getUpdater().getStateViewArray(), ours.getUpdater().getStateViewArray());
        }
        assertEquals(stock.getIterationCount(), ours.getIterationCount());
        assertEquals(stock.getLayer(0).getIterationCount(), ours.getLayer(0).getIterationCount());
        INDArray x = Nd4j.rand(new long[] {7, 30});
        assertClose(stock.output(x), ours.output(x));
    }

    private static INDArray targets(String layers, long rows) {
        if (!layers.contains("softmax")) {
            return Nd4j.rand(new long[] {rows, 12});
        }
        INDArray y = Nd4j.zeros(rows, 12);
        for (int r = 0; r < rows; r++) {
            y.putScalar(r, r % 12, 1);
        }
        return y;
    }

    private static void assertClose(INDArray expected, INDArray got) {
        double worst = expected.sub(got).amaxNumber().doubleValue();
        assertTrue(worst < 1e-4, "the largest difference is " + worst);
    }

    private static MultiLayerNetwork network(String updater, String layers) {
        String settings = "{'seed': 7, 'input': {'kind': 'dense', 'size': 30}, 'updater': " + updater + ", 'layers': ["
                + layers + "]}";
        return NetworkFactory.create(Json.parse(settings.replace('\'', '"')));
    }
}
