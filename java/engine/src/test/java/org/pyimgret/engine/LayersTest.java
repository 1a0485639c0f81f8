package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.LocalResponseNormalization;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.conf.layers.Upsampling2D;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Each kind of layer gives what Deeplearning4j's own gives. */
class LayersTest {

    private static final Shape MAPS = Shape.maps(13, 10, 5);

    private static ConvolutionLayer.Builder convolution(int kernel, int stride, int padding) {
        return new ConvolutionLayer.Builder(kernel, kernel)
                .stride(stride, stride)
                .padding(padding, padding)
                .nOut(7)
                .activation(Activation.IDENTITY);
    }

    static Stream<Layer> layersOfMaps() {
        return Stream.of(
                convolution(3, 1, 0).build(),
                convolution(3, 2, 1).build(),
                convolution(1, 1, 0).build(),
                convolution(1, 2, 0).build(),
                convolution(5, 1, 2).hasBias(false).activation(Activation.RELU).build(),
                convolution(2, 2, 0).build(), // the last row is in no window
                convolution(4, 3, 0).convolutionMode(ConvolutionMode.Same).build(),
                convolution(3, 1, 0).dilation(2, 2).build(),
                new ConvolutionLayer.Builder(2, 5)
                        .stride(1, 2)
                        .padding(0, 1)
                        .nOut(3)
                        .build(),
                new DepthwiseConvolution2D.Builder(3, 3)
                        .stride(2, 2)
                        .padding(1, 1)
                        .activation(Activation.RELU6)
                        .build(),
                new DepthwiseConvolution2D.Builder(3, 3).depthMultiplier(2).build(),
                new DepthwiseConvolution2D.Builder(3, 3)
                        .stride(2, 2)
                        .convolutionMode(ConvolutionMode.Same)
                        .build(),
                pooling(SubsamplingLayer.PoolingType.MAX, 2, 2, 0).build(),
                pooling(SubsamplingLayer.PoolingType.MAX, 3, 2, 1).build(),
                pooling(SubsamplingLayer.PoolingType.AVG, 3, 3, 0).build(),
                pooling(SubsamplingLayer.PoolingType.MAX, 3, 2, 0)
                        .convolutionMode(ConvolutionMode.Same)
                        .build(),
                new BatchNormalization.Builder().useLogStd(false).build(),
                new BatchNormalization.Builder().useLogStd(true).build(),
                new BatchNormalization.Builder()
                        .lockGammaBeta(true)
                        .gamma(1.5)
                        .beta(.2)
                        .build(),
                new LocalResponseNormalization.Builder(2, 5, 1e-2, .75).build(),
                new LocalResponseNormalization.Builder(1, 3, .5, .5).build(),
                new GlobalPoolingLayer.Builder(PoolingType.AVG).build(),
                new GlobalPoolingLayer.Builder(PoolingType.MAX).build(),
                new GlobalPoolingLayer.Builder(PoolingType.SUM).build(),
                new GlobalPoolingLayer.Builder(PoolingType.PNORM).pnorm(3).build(),
                new ActivationLayer.Builder().activation(Activation.TANH).build(),
                new CnnLossLayer.Builder(LossFunction.MSE)
                        .activation(Activation.SIGMOID)
                        .build(),
                new DenseLayer.Builder().nOut(33).activation(Activation.TANH).build(),
                new OutputLayer.Builder().nOut(4).activation(Activation.SOFTMAX).build());
    }

    private static SubsamplingLayer.Builder pooling(
            SubsamplingLayer.PoolingType type, int kernel, int stride, int padding) {
        return new SubsamplingLayer.Builder(
                type, new int[] {kernel, kernel}, new int[] {stride, stride}, new int[] {padding, padding});
    }

    @ParameterizedTest
    @MethodSource("layersOfMaps")
    void equalsDeeplearning4jOnFeatureMaps(Layer layer) throws Exception {
        InputType input = InputType.convolutional(MAPS.height, MAPS.width, MAPS.channels);
        Compared.check(Compared.network(input, layer), MAPS);
    }

    @ParameterizedTest
    @EnumSource(
            value = Activation.class,
            names = {
                "IDENTITY",
                "RELU",
                "RELU6",
                "SIGMOID",
                "TANH",
                "LEAKYRELU",
                "ELU",
                "SOFTPLUS",
                "SWISH",
                "HARDTANH",
                "HARDSIGMOID",
                "SOFTMAX"
            })
    void everyActivationEqualsDeeplearning4js(Activation activation) throws Exception {
        MultiLayerNetwork network = Compared.network(
                InputType.feedForward(21),
                new DenseLayer.Builder().nOut(19).activation(activation).build(),
                new DropoutLayer(),
                new LossLayer.Builder(LossFunction.MSE).activation(activation).build());
        Compared.check(network, Shape.vector(21));
    }

    @Test
    void aStackOfAllKindsEqualsDeeplearning4j() throws Exception {
        MultiLayerNetwork network = Compared.network(
                InputType.convolutional(MAPS.height, MAPS.width, MAPS.channels),
                new BatchNormalization.Builder().useLogStd(false).build(),
                convolution(3, 1, 1).build(),
                new BatchNormalization.Builder().useLogStd(false).build(),
                new ActivationLayer.Builder().activation(Activation.RELU).build(),
                pooling(SubsamplingLayer.PoolingType.MAX, 2, 2, 0).build(),
                convolution(1, 1, 0).activation(Activation.RELU).build(),
                new DepthwiseConvolution2D.Builder(3, 3).padding(1, 1).build(),
                convolution(1, 1, 0).activation(Activation.RELU).build(),
                new DenseLayer.Builder()
                        .nOut(40)
                        .activation(Activation.IDENTITY)
                        .build(),
                new BatchNormalization.Builder().useLogStd(false).build(),
                new ActivationLayer.Builder().activation(Activation.SIGMOID).build(),
                new OutputLayer.Builder()
                        .nOut(10)
                        .activation(Activation.SOFTMAX)
                        .build());
        Compared.check(network, MAPS);
    }

    @Test
    void flattenedImagesBecomeFeatureMaps() throws Exception {
        MultiLayerNetwork network = Compared.network(
                InputType.convolutionalFlat(6, 5, 3), convolution(3, 1, 0).build());
        Compared.check(network, Shape.vector(90));
    }

    @Test
    void aLayerThatIsNotSupportedIsNamed() {
        MultiLayerNetwork network = Compared.network(
                InputType.convolutional(4, 4, 2),
                new Upsampling2D.Builder(2).name("larger").build());
        UnsupportedLayerException thrown = assertThrows(
                UnsupportedLayerException.class,
                () -> InferenceNetwork.of(network, 0, 0, Shape.maps(4, 4, 2), Precision.FLOAT32));
        assertTrue(thrown.getMessage().contains("'larger'"), thrown.getMessage());
        assertTrue(thrown.getMessage().contains("Upsampling2D"), thrown.getMessage());
    }

    @Test
    void anInputThatDoesNotFitIsRefused() {
        MultiLayerNetwork network = Compared.network(
                InputType.feedForward(8), new DenseLayer.Builder().nOut(2).build());
        assertThrows(
                UnsupportedLayerException.class,
                () -> InferenceNetwork.of(network, 0, 0, Shape.vector(9), Precision.FLOAT32));
    }
}
