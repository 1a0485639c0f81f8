package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.learning.regularization.L1Regularization;
import org.nd4j.linalg.learning.regularization.L2Regularization;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;
import org.nd4j.linalg.schedule.ScheduleType;
import org.nd4j.linalg.schedule.StepSchedule;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.TrainingNetwork;
import org.pyimgret.engine.UnsupportedLayerException;

/** The engine against Deeplearning4j's own training, number by number. */
class TrainingNetworkTest {

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
    void trainsAsDeeplearning4jDoes(String layers) throws UnsupportedLayerException {
        assertTrainsAlike("{'type': 'adam', 'learning_rate': 0.01, 'schedule': {'0': 0.02, '3': 0.005}}", layers);
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'type': 'nesterovs', 'learning_rate': 0.05}", "{'type': 'sgd', 'learning_rate': 0.1}"})
    void knowsTheOtherUpdaters(String updater) throws UnsupportedLayerException {
        assertTrainsAlike(updater, NORMALISED + "," + LINEAR);
    }

    @Test
    void countsPenaltiesAsDeeplearning4jDoes() throws UnsupportedLayerException {
        String penalised = "{'type': 'Dense', 'n_out': 20, 'activation': 'relu', 'l1': 0.001, 'l2': 0.01},";
        assertTrainsAlike("{'type': 'adam', 'learning_rate': 0.01}", penalised + LINEAR);
    }

    @Test
    void honoursPenaltiesThatChangeWithTheIteration() throws UnsupportedLayerException {
        MultiLayerNetwork stock = penalised();
        MultiLayerNetwork ours = penalised();
        try (TrainingNetwork training = TrainingNetwork.of(ours, 16, Shape.vector(30))) {
            for (int i = 0; i < 6; i++) {
                INDArray x = Nd4j.rand(new long[] {16, 30});
                INDArray y = Nd4j.rand(new long[] {16, 12});
                stock.fit(x, y);
                assertEquals(stock.score(), training.fit(x, y, 0), 1e-4 * stock.score(), "loss of iteration " + i);
            }
        }
        assertClose(stock.params(), ours.params());
    }

    private static MultiLayerNetwork penalised() {
        MultiLayerNetwork network = new MultiLayerNetwork(new NeuralNetConfiguration.Builder()
                .seed(5)
                .updater(new Sgd(0.1))
                .regularization(List.of(
                        new L2Regularization(new StepSchedule(ScheduleType.ITERATION, 0.5, 0.1, 2)),
                        new L1Regularization(new StepSchedule(ScheduleType.ITERATION, 0.01, 0.5, 3))))
                .list()
                .layer(new DenseLayer.Builder()
                        .nIn(30)
                        .nOut(20)
                        .activation(Activation.TANH)
                        .build())
                .layer(new OutputLayer.Builder(LossFunction.MSE)
                        .nIn(20)
                        .nOut(12)
                        .activation(Activation.IDENTITY)
                        .build())
                .build());
        network.init();
        return network;
    }

    @Test
    void givesTheSameBitsForTheSameSeed() throws UnsupportedLayerException {
        String layers = NORMALISED + ", {'type': 'Dropout', 'rate': 0.3}," + SIGMOID;
        INDArray x = Nd4j.rand(new long[] {33, 30});
        INDArray y = Nd4j.rand(new long[] {33, 12});
        INDArray[] results = new INDArray[2];
        for (int run = 0; run < 2; run++) {
            MultiLayerNetwork network = network("{'type': 'adam'}", layers);
            try (TrainingNetwork training = TrainingNetwork.of(network, 33, Shape.vector(30))) {
                for (int i = 0; i < 5; i++) {
                    training.fit(x, y, i);
                }
            }
            results[run] = network.params();
        }
        assertArrayEquals(
                results[0].dup().data().asFloat(), results[1].dup().data().asFloat(), 0);
    }

    @Test
    void refusesTargetsThatDoNotFit() throws UnsupportedLayerException {
        try (TrainingNetwork training =
                TrainingNetwork.of(network("{'type': 'adam'}", PLAIN + "," + LINEAR), 8, Shape.vector(30))) {
            IllegalArgumentException e = assertThrows(
                    IllegalArgumentException.class, () -> training.fit(Nd4j.rand(8, 30), Nd4j.rand(8, 11), 0));
            assertTrue(e.getMessage().contains("30 inputs and 12 outputs"), e.getMessage());
        }
    }

    @Test
    void weighsClassesAsDeeplearning4jDoes() throws UnsupportedLayerException {
        String weights = "[0.5, 2, 1, 1, 1, 3, 1, 1, 0.25, 1, 1, 1]";
        assertTrainsAlike(
                "{'type': 'adam', 'learning_rate': 0.01}",
                PLAIN + "," + SOFTMAX.replace("}", ", 'class_weights': " + weights + "}"));
    }

    @Test
    void gradientsThroughDropoutEqualFiniteDifferences() throws UnsupportedLayerException {
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

    private static MultiLayerNetwork after(String layers, INDArray x, INDArray y, int place, double change, long chance)
            throws UnsupportedLayerException {
        MultiLayerNetwork network = network("{'type': 'sgd', 'learning_rate': 1.0}", layers);
        INDArray parameters = network.params().reshape(network.numParams());
        parameters.putScalar(place, parameters.getDouble(place) + change);
        try (TrainingNetwork learner = TrainingNetwork.of(network, 33, Shape.vector(30))) {
            learner.fit(x, y, chance);
        }
        return network;
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        String output = "{'type': 'Output', 'n_out': 12, 'loss': 'mean_absolute_error'}";
        assertRefused("{'type': 'adam'}", PLAIN + "," + output, "LossMAE");
        assertRefused("{'type': 'adagrad'}", PLAIN + "," + LINEAR, "AdaGrad");
        assertRefused("{'type': 'adam'}", "{'type': 'Dense', 'n_out': 5, 'activation': 'cube'}," + LINEAR, "cube");
    }

    private static void assertRefused(String updater, String layers, String reason) {
        UnsupportedLayerException e = assertThrows(
                UnsupportedLayerException.class,
                () -> TrainingNetwork.of(network(updater, layers), 8, Shape.vector(30)));
        assertTrue(e.getMessage().contains(reason), e.getMessage());
    }

    private static void assertTrainsAlike(String updater, String layers) throws UnsupportedLayerException {
        Nd4j.getRandom().setSeed(3);
        MultiLayerNetwork stock = network(updater, layers);
        MultiLayerNetwork ours = network(updater, layers);
        try (TrainingNetwork learner = TrainingNetwork.of(ours, 33, Shape.vector(30))) {
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
