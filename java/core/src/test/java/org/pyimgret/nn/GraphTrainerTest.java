package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.function.Function;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.lossfunctions.impl.LossMAE;
import org.pyimgret.engine.Shape;
import org.pyimgret.engine.TrainingNetwork;
import org.pyimgret.engine.UnsupportedLayerException;

/** Graphs of what fine-tuning trains: their gradients are those that differences of the loss give. */
class GraphTrainerTest {

    private static final int COUNT = 6;
    private static final int SIDE = 4;
    private static final int CHANNELS = 3;
    private static final double WIDTH = 1e-3;

    private static final String BLOCK =
            "{'type': 'Convolution2D', 'name': 'expand', 'n_out': 6, 'kernel_size': 1, 'bias_init': 0.3, 'activation': 'relu6', 'inputs': ['input']},"
                    + "{'type': 'DepthwiseConvolution2D', 'name': 'depthwise', 'kernel_size': 3, 'padding': 1, 'bias_init': 0.3, 'activation': 'relu6', 'inputs': ['expand']},"
                    + "{'type': 'Convolution2D', 'name': 'project', 'n_out': 3, 'kernel_size': 1, 'inputs': ['depthwise']},"
                    + "{'type': 'Add', 'name': 'add', 'inputs': ['input', 'project']},"
                    + "{'type': 'GlobalPooling', 'name': 'pooled', 'inputs': ['add']},"
                    + "{'type': 'L2Normalize', 'name': 'normalised', 'inputs': ['pooled']},"
                    + "{'type': 'Dense', 'name': 'code', 'n_out': 4, 'activation': 'tanh', 'inputs': ['normalised']},";

    private static final String OUTPUT = "{'type': 'Output', 'name': 'classes', 'n_out': 3, 'activation': 'softmax',"
            + " 'loss': 'categorical_cross_entropy', 'inputs': ['code'], 'frozen': %s}";

    private final float[] pixels = pixels();
    private final FloatPointer values = new FloatPointer(pixels);
    private final IntPointer labels = new IntPointer(0, 1, 2, 2, 1, 0);
    private final DoublePointer progress = new DoublePointer(0, 0);

    @Test
    void oneStepOfPlainDescentIsTheSlopeOfTheLoss() {
        ComputationGraph graph = graph(false);
        INDArray before = graph.params().dup();
        epoch(graph);
        INDArray step = before.sub(graph.params()).reshape(before.length());
        double middle = loss(before, 0, 0);
        for (int place = 0; place < before.length(); place++) {
            double found = step.getDouble(place);
            double right = (loss(before, place, WIDTH) - middle) / WIDTH;
            double left = (middle - loss(before, place, -WIDTH)) / WIDTH;
            // NB: relu6 has corners. Beside one, the slope of the other side is the gradient.
            double expected = Math.abs(found - left) < Math.abs(found - right) ? left : right;
            assertEquals(expected, found, 2e-3, "parameter " + place);
        }
    }

    @Test
    void theEngineTrainsAsDeeplearning4jDoes() throws UnsupportedLayerException {
        ComputationGraph stock = graph(false);
        ComputationGraph ours = graph(false);
        INDArray x = Nd4j.rand(new long[] {COUNT, CHANNELS, SIDE, SIDE}).subi(0.5);
        INDArray y = Nd4j.eye(3).get(NDArrayIndex.indices(0, 1, 2, 2, 1, 0)).dup();
        try (TrainingNetwork training = TrainingNetwork.of(ours, COUNT, Shape.maps(SIDE, SIDE, CHANNELS))) {
            for (int i = 0; i < 3; i++) {
                stock.fit(new INDArray[] {x}, new INDArray[] {y});
                assertEquals(stock.score(), training.fit(x, y, 0), 1e-5);
            }
        }
        assertTrue(stock.params().sub(ours.params()).amaxNumber().doubleValue() < 1e-5);
        assertEquals(stock.getIterationCount(), ours.getIterationCount());
    }

    @Test
    void aFrozenLastLayerStays() {
        ComputationGraph graph = graph(true);
        float[] frozen = graph.getParam("classes_W").dup().data().asFloat();
        float[] learned = graph.getParam("depthwise_W").dup().data().asFloat();
        epoch(graph);
        assertArrayEquals(frozen, graph.getParam("classes_W").dup().data().asFloat());
        float[] after = graph.getParam("depthwise_W").dup().data().asFloat();
        assertTrue(!java.util.Arrays.equals(learned, after), "the rest is to learn");
    }

    @Test
    void theLossIsTheOneBeforeTheStep() {
        ComputationGraph graph = graph(false);
        double expected = with(graph, Trainer::loss);
        assertEquals(
                expected,
                with(graph, t -> (Double) t.epoch(0, 0, progress.address()).get("loss")),
                1e-6);
    }

    @Test
    void saysWhatTrainsAndWhy() {
        assertEquals("onednn", with(graph(false), t -> t.epoch(0, 0, progress.address())
                .get("engine")));
        ComputationGraph other = graph(false);
        ((OutputLayer) other.getLayer("classes").conf().getLayer()).setLossFn(new LossMAE());
        String engine =
                (String) with(other, t -> t.epoch(0, 0, progress.address()).get("engine"));
        assertTrue(engine.startsWith("dl4j, ") && engine.contains("LossMAE"), engine);
    }

    private double loss(INDArray parameters, int place, double change) {
        ComputationGraph graph = graph(false);
        graph.params().assign(parameters);
        INDArray flat = graph.params().reshape(parameters.length());
        flat.putScalar(place, flat.getDouble(place) + change);
        return with(graph, Trainer::loss);
    }

    private void epoch(ComputationGraph graph) {
        with(graph, t -> t.epoch(0, 0, progress.address()));
    }

    private <T> T with(ComputationGraph graph, Function<Trainer, T> work) {
        String settings = String.format(
                "{'images': {'address': %d, 'dtype': 'float32', 'count': %d, 'layout': 'convolutional',"
                        + " 'height': %d, 'width': %d, 'channels': %d}, 'seed': 1, 'batch_size': %d,"
                        + " 'targets': {'kind': 'classes', 'address': %d, 'count': %d, 'classes': 3}}",
                values.address(), COUNT, SIDE, SIDE, CHANNELS, COUNT, labels.address(), COUNT);
        try (Trainer trainer = new Trainer(graph, Json.parse(settings.replace('\'', '"')))) {
            return work.apply(trainer);
        }
    }

    private static ComputationGraph graph(boolean frozen) {
        String settings = "{'seed': 5, 'updater': {'type': 'sgd', 'learning_rate': 1.0}, 'outputs': ['classes'],"
                + " 'input': {'kind': 'convolutional', 'height': 4, 'width': 4, 'channels': 3},"
                + " 'vertices': [" + BLOCK + String.format(OUTPUT, frozen) + "]}";
        return GraphFactory.create(Json.parse(settings.replace('\'', '"')));
    }

    private static float[] pixels() {
        Random random = new Random(3);
        float[] pixels = new float[COUNT * SIDE * SIDE * CHANNELS];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (float) random.nextGaussian();
        }
        return pixels;
    }
}
