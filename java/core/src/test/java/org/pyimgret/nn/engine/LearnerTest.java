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
    @ValueSource(strings = {PLAIN + "," + SIGMOID, PLAIN + "," + LINEAR, NORMALISED + "," + SIGMOID, NORMALISED + "," + SOFTMAX})
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
    void leavesWhatItDoesNotKnowToDeeplearning4j() {
        for (String layer :
                new String[] {
                    "{'type': 'Dense', 'n_out': 5, 'activation': 'elu'},",
                    "{'type': 'Dense', 'n_out': 5, 'dropout': 0.5},",
                    "{'type': 'Dropout', 'rate': 0.5},"
                }) {
            assertFalse(Learner.of(network("{'type': 'adam'}", layer + LINEAR), 8).isPresent(), layer);
        }
        assertFalse(Learner.of(network("{'type': 'adagrad'}", PLAIN + "," + LINEAR), 8).isPresent());
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
                double score = learner.fit(x, y);
                assertEquals(stock.score(), score, 1e-4 * Math.abs(stock.score()), "loss of iteration " + i);
                assertEquals(score, ours.score(), 0);
            }
        }
        assertClose(stock.params(), ours.params());
        if (stock.getUpdater().getStateViewArray() != null) {
            assertClose(stock.getUpdater().getStateViewArray(), ours.getUpdater().getStateViewArray());
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
        String settings =
                "{'seed': 7, 'input': {'kind': 'dense', 'size': 30}, 'updater': " + updater + ", 'layers': [" + layers + "]}";
        return NetworkFactory.create(Json.parse(settings.replace('\'', '"')));
    }
}
