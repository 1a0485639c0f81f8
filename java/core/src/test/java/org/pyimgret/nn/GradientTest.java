package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.TrainingNetwork;
import org.pyimgret.engine.UnsupportedLayerException;

/** Gradients: one step of plain descent with rate 1 shows them, as before minus after. */
class GradientTest {

    private static final String HIDDEN = "{'type': 'Dense', 'n_out': 11, 'activation': 'tanh'},"
            + "{'type': 'Dense', 'n_out': 8, 'bias': false}, {'type': 'BatchNormalization'},"
            + "{'type': 'Activation', 'activation': 'sigmoid'},"
            + "{'type': 'Dense', 'n_out': 9, 'activation': 'sigmoid'}, {'type': 'BatchNormalization'},";

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'type': 'Output', 'n_out': 5, 'activation': 'sigmoid', 'loss': 'binary_cross_entropy'}",
                "{'type': 'Output', 'n_out': 5, 'activation': 'tanh', 'loss': 'mean_squared_error'}",
                "{'type': 'Output', 'n_out': 5, 'activation': 'sigmoid', 'loss': 'squared_error'}",
                "{'type': 'Output', 'n_out': 5, 'activation': 'softmax', 'loss': 'categorical_cross_entropy'}"
            })
    void equalFiniteDifferencesAndTheStockLayers(String output) throws UnsupportedLayerException {
        Nd4j.getRandom().setSeed(2);
        INDArray x = Nd4j.rand(new long[] {20, 6});
        INDArray y = oneOfFive(20);
        INDArray ours = gradient(network(HIDDEN + output), x, y, true);
        INDArray stock = gradient(network(HIDDEN + output), x, y, false);
        assertTrue(stock.sub(ours).amaxNumber().doubleValue() < 1e-5, "differs from the stock layers'");
        for (int place = 3; place < ours.length(); place += 17) {
            double expected = difference(HIDDEN + output, x, y, place);
            if (!isAverage(place)) {
                assertEquals(expected, ours.getDouble(place), 2e-3, "parameter " + place);
            }
        }
    }

    private static INDArray gradient(MultiLayerNetwork network, INDArray x, INDArray y, boolean engine)
            throws UnsupportedLayerException {
        INDArray before = network.params().dup();
        if (engine) {
            try (TrainingNetwork learner = TrainingNetwork.of(network, 20, Shape.vector(6))) {
                learner.fit(x, y, 0);
            }
        } else {
            network.fit(x, y);
        }
        return before.subi(network.params()).reshape(before.length());
    }

    /** The loss's slope at one parameter, by the loss that the engine itself reports. */
    private static double difference(String layers, INDArray x, INDArray y, int place)
            throws UnsupportedLayerException {
        double step = 2e-2;
        return (loss(layers, x, y, place, step) - loss(layers, x, y, place, -step)) / (2 * step);
    }

    private static double loss(String layers, INDArray x, INDArray y, int place, double change)
            throws UnsupportedLayerException {
        MultiLayerNetwork network = network(layers);
        INDArray parameters = network.params().reshape(network.numParams());
        parameters.putScalar(place, parameters.getDouble(place) + change);
        try (TrainingNetwork learner = TrainingNetwork.of(network, 20, Shape.vector(6))) {
            return learner.fit(x, y, 0);
        }
    }

    /** Whether a place holds a running mean or variance, which have no gradient. */
    private static boolean isAverage(int place) {
        int first = 6 * 11 + 11 + 11 * 8;
        int second = first + 4 * 8 + 8 * 9 + 9;
        return (place >= first + 16 && place < first + 32) || (place >= second + 18 && place < second + 36);
    }

    private static INDArray oneOfFive(int rows) {
        INDArray y = Nd4j.zeros(rows, 5);
        for (int r = 0; r < rows; r++) {
            y.putScalar(r, r % 5, 1);
        }
        return y;
    }

    private static MultiLayerNetwork network(String layers) {
        String settings = "{'seed': 7, 'input': {'kind': 'dense', 'size': 6},"
                + "'updater': {'type': 'sgd', 'learning_rate': 1.0}, 'layers': [" + layers + "]}";
        return NetworkFactory.create(Json.parse(settings.replace('\'', '"')));
    }
}
