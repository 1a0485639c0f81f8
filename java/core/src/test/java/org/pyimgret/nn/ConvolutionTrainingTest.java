package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.TrainingNetwork;
import org.pyimgret.engine.UnsupportedLayerException;

/** Convolutions of the engine against Deeplearning4j's own, and against finite differences. */
class ConvolutionTrainingTest {

    private static final int HEIGHT = 13;
    private static final int WIDTH = 12;
    private static final String CODE = "{'type': 'Dense', 'n_out': 17, 'activation': 'tanh'},"
            + "{'type': 'Output', 'n_out': 5, 'activation': 'softmax', 'loss': 'categorical_cross_entropy'}";
    private static final String LENET =
            "{'type': 'Convolution2D', 'n_out': 6, 'kernel_size': 5, 'activation': 'relu'}, {'type': 'Pooling2D'},"
                    + "{'type': 'Convolution2D', 'n_out': 20, 'kernel_size': [3, 2], 'activation': 'tanh'},"
                    + "{'type': 'Pooling2D', 'pooling': 'avg'},";
    private static final String NORMALISED =
            "{'type': 'Convolution2D', 'n_out': 9, 'kernel_size': 3, 'mode': 'same', 'activation': 'sigmoid', 'l2': 0.01},"
                    + "{'type': 'BatchNormalization'},"
                    + "{'type': 'Convolution2D', 'n_out': 7, 'kernel_size': 4, 'stride': 2, 'mode': 'same', 'bias': false},"
                    + "{'type': 'BatchNormalization', 'decay': 0.8}, {'type': 'Activation', 'activation': 'tanh'},"
                    + "{'type': 'Pooling2D', 'kernel_size': 3, 'stride': 2},";
    private static final String PADDED =
            "{'type': 'Convolution2D', 'n_out': 4, 'kernel_size': 3, 'stride': [2, 3], 'padding': [1, 2]},";

    private static final String REDUCED =
            "{'type': 'Convolution2D', 'n_out': 6, 'kernel_size': 3, 'activation': 'swish'},"
                    + "{'type': 'Pooling2D', 'mode': 'same', 'kernel_size': 3}, {'type': 'BatchNormalization'},"
                    + "{'type': 'DepthwiseConvolution2D', 'kernel_size': 3, 'multiplier': 2, 'padding': 1, 'activation': 'relu6'},"
                    + "{'type': 'Activation', 'activation': 'elu'}, {'type': 'GlobalPooling'},";

    /** A difference across a kink of ReLU or pooling is no gradient: the pictures must not hang on the tests before. */
    @BeforeEach
    void seed() {
        Nd4j.getRandom().setSeed(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {LENET, NORMALISED, PADDED, REDUCED})
    void trainsAsDeeplearning4jDoes(String layers) throws UnsupportedLayerException {
        MultiLayerNetwork stock = network(layers + CODE, "'adam', 'learning_rate': 0.01");
        MultiLayerNetwork ours = network(layers + CODE, "'adam', 'learning_rate': 0.01");
        try (TrainingNetwork learner = learner(ours)) {
            for (int i = 0; i < 5; i++) {
                INDArray x = images(i == 4 ? 3 : 11);
                INDArray y = classes(x.size(0));
                stock.fit(x, y);
                assertEquals(
                        stock.score(), learner.fit(x, y, 0), 2e-4 * Math.abs(stock.score()), "loss of iteration " + i);
            }
        }
        assertTrue(stock.params().sub(ours.params()).amaxNumber().doubleValue() < 3e-4, "parameters differ");
    }

    @ParameterizedTest
    @ValueSource(strings = {LENET, NORMALISED, PADDED, REDUCED})
    void gradientsEqualTheStockLayersAndFiniteDifferences(String layers) throws UnsupportedLayerException {
        INDArray x = images(8);
        INDArray y = classes(8);
        INDArray ours = gradient(network(layers + CODE, "'sgd', 'learning_rate': 1.0"), x, y, true);
        INDArray stock = gradient(network(layers + CODE, "'sgd', 'learning_rate': 1.0"), x, y, false);
        assertTrue(stock.sub(ours).amaxNumber().doubleValue() < 1e-5, "differs from the stock layers'");
        if (!layers.contains("BatchNormalization")) {
            for (int place = 1; place < ours.length(); place += 37) {
                assertEquals(difference(layers, x, y, place), ours.getDouble(place), 3e-3, "parameter " + place);
            }
        }
    }

    /** The loss's slope at one parameter, by the loss that the engine itself reports. */
    private static double difference(String layers, INDArray x, INDArray y, int place)
            throws UnsupportedLayerException {
        double step = 1e-2;
        return (loss(layers, x, y, place, step) - loss(layers, x, y, place, -step)) / (2 * step);
    }

    private static double loss(String layers, INDArray x, INDArray y, int place, double change)
            throws UnsupportedLayerException {
        MultiLayerNetwork network = network(layers + CODE, "'sgd', 'learning_rate': 1.0");
        INDArray parameters = network.params().reshape(network.numParams());
        parameters.putScalar(place, parameters.getDouble(place) + change);
        try (TrainingNetwork learner = learner(network)) {
            return learner.fit(x, y, 0);
        }
    }

    private static INDArray gradient(MultiLayerNetwork network, INDArray x, INDArray y, boolean engine)
            throws UnsupportedLayerException {
        INDArray before = network.params().dup();
        if (engine) {
            try (TrainingNetwork learner = learner(network)) {
                learner.fit(x, y, 0);
            }
        } else {
            network.fit(x, y);
        }
        return before.subi(network.params()).reshape(before.length());
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        MultiLayerNetwork network = network("{'type': 'Deconvolution2D', 'n_out': 4}," + CODE, "'adam'");
        assertThrows(UnsupportedLayerException.class, () -> learner(network));
    }

    private static TrainingNetwork learner(MultiLayerNetwork network) throws UnsupportedLayerException {
        return TrainingNetwork.of(network, 11, Shape.maps(HEIGHT, WIDTH, 3));
    }

    private static INDArray images(int rows) {
        return Nd4j.rand(new long[] {rows, 3, HEIGHT, WIDTH});
    }

    private static INDArray classes(long rows) {
        INDArray y = Nd4j.zeros(rows, 5);
        for (int r = 0; r < rows; r++) {
            y.putScalar(r, r % 5, 1);
        }
        return y;
    }

    private static MultiLayerNetwork network(String layers, String updater) {
        String settings = "{'seed': 7, 'input': {'kind': 'convolutional', 'height': 13, 'width': 12, 'channels': 3},"
                + "'updater': {'type': " + updater + "}, 'layers': [" + layers + "]}";
        return NetworkFactory.create(Json.parse(settings.replace('\'', '"')));
    }
}
