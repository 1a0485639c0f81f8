package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.List;
import java.util.Map;

/**
 * What a {@link Node} does to its inputs. Operations hold no state but their settings and weights.
 *
 * <p>The weights of convolutions and inner products lie as oneDNN's plain formats have them:
 * (outputs, inputs, height, width), for groups (groups, outputs a group, inputs a group, height,
 * width).
 */
abstract class Operation {

    /**
     * Gives the shape of the result; unless an operation says otherwise, that of its first input.
     *
     * @throws IllegalArgumentException if the inputs do not fit
     */
    Shape shape(List<Shape> inputs) {
        return inputs.get(0);
    }

    /** An operation with weights and a bias, into which what follows it may be fused. */
    abstract static class Weighted extends Operation {
        final int outputs;
        final float[] weights;
        final float[] bias;

        Weighted(int outputs, float[] weights, float[] bias) {
            if (bias.length != outputs || weights.length % outputs != 0) {
                throw new IllegalArgumentException(
                        weights.length + " weights and " + bias.length + " biases do not fit " + outputs + " outputs");
            }
            this.outputs = outputs;
            this.weights = weights;
            this.bias = bias;
        }

        /** The same operation with other weights. */
        abstract Weighted with(float[] newWeights, float[] newBias);
    }

    /** A convolution of feature maps; depthwise where there are as many groups as channels. */
    static final class Convolution extends Weighted {
        final Window window;
        final int groups;

        /** What 1 stands for in the weights of each output, which are whole numbers; or null. */
        final float[] scales;

        Convolution(Window window, int groups, int outputs, float[] weights, float[] bias, float[] scales) {
            super(outputs, weights, bias);
            this.window = window;
            this.groups = groups;
            this.scales = scales;
        }

        Convolution quantized(float[] numbers, float[] numberScales) {
            return new Convolution(window, groups, outputs, numbers, bias, numberScales);
        }

        @Override
        Shape shape(List<Shape> inputs) {
            Shape in = inputs.get(0);
            int area = window.kernelHeight * window.kernelWidth;
            if ((long) outputs * (in.channels / groups) * area != weights.length) {
                throw new IllegalArgumentException(weights.length + " weights do not fit an input of " + in);
            }
            return window.shape(in, outputs);
        }

        @Override
        Convolution with(float[] newWeights, float[] newBias) {
            return new Convolution(window, groups, outputs, newWeights, newBias, scales);
        }
    }

    /** A dense layer; of feature maps it takes the numbers in the order (channel, row, column). */
    static final class InnerProduct extends Weighted {
        InnerProduct(int outputs, float[] weights, float[] bias) {
            super(outputs, weights, bias);
        }

        @Override
        Shape shape(List<Shape> inputs) {
            if ((long) inputs.get(0).size() * outputs != weights.length) {
                throw new IllegalArgumentException(weights.length / outputs + " inputs expected, got " + inputs.get(0));
            }
            return Shape.vector(outputs);
        }

        @Override
        InnerProduct with(float[] newWeights, float[] newBias) {
            return new InnerProduct(outputs, newWeights, newBias);
        }
    }

    /** The largest value, or the mean, of each window. */
    static final class Pooling extends Operation {
        /** What is computed of a window. */
        enum Kind {
            MAX,
            /** The mean of the pixels in the image. */
            AVERAGE,
            /** The mean in which the padding counts as zeros. */
            AVERAGE_WITH_PADDING
        }

        final Kind kind;
        final Window window;

        Pooling(Kind kind, Window window) {
            this.kind = kind;
            this.window = window;
        }

        @Override
        Shape shape(List<Shape> inputs) {
            return window.shape(inputs.get(0), inputs.get(0).channels);
        }
    }

    /** The largest value, or the mean, of each feature map. */
    static final class GlobalPooling extends Operation {
        final boolean max;

        GlobalPooling(boolean max) {
            this.max = max;
        }

        @Override
        Shape shape(List<Shape> inputs) {
            return Shape.vector(inputs.get(0).channels);
        }
    }

    /** The Euclidean length of a vector, or a small number if that is larger. */
    static final class Norm extends Operation {
        final float least;

        Norm(float least) {
            this.least = least;
        }

        @Override
        Shape shape(List<Shape> inputs) {
            if (!inputs.get(0).vector) {
                throw new IllegalArgumentException("the length of feature maps " + inputs.get(0));
            }
            return Shape.vector(1);
        }
    }

    /** A vector divided by a number. */
    static final class Divide extends Operation {}

    /** Batch normalisation by its running averages: a factor and a term for each channel. */
    static final class Normalization extends Operation {
        final float[] scale;
        final float[] shift;

        Normalization(float[] scale, float[] shift) {
            this.scale = scale;
            this.shift = shift;
        }

        @Override
        Shape shape(List<Shape> inputs) {
            if (inputs.get(0).channels != scale.length) {
                throw new IllegalArgumentException("normalises " + scale.length + " channels, got " + inputs.get(0));
            }
            return inputs.get(0);
        }
    }

    /** An activation function of each number by itself. */
    static final class Activation extends Operation {
        private static final Map<Integer, Integer> DERIVED_FROM_RESULT = Map.of(
                dnnl_eltwise_relu, dnnl_eltwise_relu_use_dst_for_bwd,
                dnnl_eltwise_elu, dnnl_eltwise_elu_use_dst_for_bwd,
                dnnl_eltwise_clip, dnnl_eltwise_clip_v2_use_dst_for_bwd,
                dnnl_eltwise_logistic, dnnl_eltwise_logistic_use_dst_for_bwd,
                dnnl_eltwise_tanh, dnnl_eltwise_tanh_use_dst_for_bwd);

        /** One of oneDNN's eltwise algorithms. */
        final int algorithm;

        final float alpha;
        final float beta;

        Activation(int algorithm, float alpha, float beta) {
            this.algorithm = algorithm;
            this.alpha = alpha;
            this.beta = beta;
        }

        /** The same function with its derivative taken from the result, or null: it needs the input. */
        Activation derivedFromResult() {
            boolean rises = alpha >= 0 || algorithm == dnnl_eltwise_clip;
            Integer other = rises ? DERIVED_FROM_RESULT.get(algorithm) : null;
            return other == null ? null : new Activation(other, alpha, beta);
        }
    }

    /** Sets some numbers to zero, by chance and only in training (Srivastava et al. 2014). */
    static final class Dropout extends Operation {
        /** The part that is kept, and scaled up in return. */
        final float kept;

        Dropout(double kept) {
            this.kept = (float) kept;
        }
    }

    /** The same numbers, stored in another way. */
    static final class Convert extends Operation {}

    /** The sum of two inputs of one shape. */
    static final class Add extends Operation {
        @Override
        Shape shape(List<Shape> inputs) {
            if (!inputs.get(0).equalTo(inputs.get(1))) {
                throw new IllegalArgumentException("adds " + inputs.get(0) + " and " + inputs.get(1));
            }
            return inputs.get(0);
        }
    }

    /** Inputs side by side, along the channels. */
    static final class Concatenation extends Operation {
        @Override
        Shape shape(List<Shape> inputs) {
            Shape first = inputs.get(0);
            int channels = 0;
            for (Shape shape : inputs) {
                if (shape.height != first.height || shape.width != first.width || shape.vector != first.vector) {
                    throw new IllegalArgumentException("joins " + inputs);
                }
                channels = Math.addExact(channels, shape.channels);
            }
            return first.vector ? Shape.vector(channels) : Shape.maps(first.height, first.width, channels);
        }
    }

    /** Softmax over the channels. */
    static final class Softmax extends Operation {}

    /** Local response normalisation across channels (Krizhevsky et al. 2012). */
    static final class LocalResponseNormalization extends Operation {
        final int size;
        final float alpha;
        final float beta;
        final float k;

        LocalResponseNormalization(int size, float alpha, float beta, float k) {
            this.size = size;
            this.alpha = alpha;
            this.beta = beta;
            this.k = k;
        }
    }

    /** Feature maps as a vector of (channel, row, column), Deeplearning4j's order. */
    static final class Flatten extends Operation {
        @Override
        Shape shape(List<Shape> inputs) {
            return Shape.vector(inputs.get(0).size());
        }
    }

    /** A vector of (channel, row, column) as feature maps. */
    static final class Unflatten extends Operation {
        private final Shape maps;

        Unflatten(Shape maps) {
            this.maps = maps;
        }

        @Override
        Shape shape(List<Shape> inputs) {
            if (inputs.get(0).size() != maps.size()) {
                throw new IllegalArgumentException(inputs.get(0) + " cannot become " + maps);
            }
            return maps;
        }
    }
}
