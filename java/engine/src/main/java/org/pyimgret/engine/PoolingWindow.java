package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_exclude_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_include_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_max;

/** A pooling as oneDNN wants it described. */
final class PoolingWindow {

    final int algorithm;
    final long[] kernel;
    final long[] stride;
    final Padding padding;

    private PoolingWindow(int algorithm, long[] kernel, long[] stride, Padding padding) {
        this.algorithm = algorithm;
        this.kernel = kernel;
        this.stride = stride;
        this.padding = padding;
    }

    static PoolingWindow of(Node node, View input, View output) {
        if (node.operation instanceof Operation.GlobalPooling) {
            Shape shape = input.value.shape;
            long[] all = {shape.height, shape.width};
            boolean max = ((Operation.GlobalPooling) node.operation).max;
            return new PoolingWindow(max ? dnnl_pooling_max : dnnl_pooling_avg_include_padding, all, all, Padding.NONE);
        }
        Operation.Pooling pooling = (Operation.Pooling) node.operation;
        Window window = pooling.window;
        return new PoolingWindow(
                algorithm(pooling.kind),
                new long[] {window.kernelHeight, window.kernelWidth},
                new long[] {window.strideHeight, window.strideWidth},
                new Padding(window, input, output));
    }

    private static int algorithm(Operation.Pooling.Kind kind) {
        switch (kind) {
            case MAX:
                return dnnl_pooling_max;
            case AVERAGE:
                return dnnl_pooling_avg_exclude_padding;
            default:
                return dnnl_pooling_avg_include_padding;
        }
    }
}
