package org.pyimgret.bridge;

import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.bytedeco.javacpp.Pointer;
import org.deeplearning4j.nn.layers.mkldnn.BaseMKLDNNHelper;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.layers.convolution.Conv2D;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.Conv2DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.PaddingMode;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.nn.CompiledNetworks;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.Parameters;
import org.pyimgret.nn.StopFlag;

/** The process as Python sees it: limits, facts, and small computations for its self-check. */
public final class SystemBridge {

    private SystemBridge() {}

    /**
     * Limits the memory of arrays, which ND4J allocates outside the Java heap.
     *
     * <p>NB: JavaCPP's own limit ({@code org.bytedeco.javacpp.maxbytes}) does not count ND4J's arrays.
     */
    public static void limitMemory(long bytes) {
        Nd4j.getEnvironment().setDeviceLimit(0, bytes);
    }

    /**
     * Makes the byte at an address the one that stops the calling thread's long computations, see
     * {@link StopFlag}.
     */
    public static void watchStopFlag(long address) {
        StopFlag.watch(address);
    }

    /** Multiplies matrices (m, k) and (k, n) of float32, given by their addresses. */
    public static void multiply(long a, long b, long out, int m, int k, int n) {
        INDArray x = array(a, m, k);
        INDArray y = array(b, k, n);
        INDArray product = x.mmul(y);
        Parameters.copy(product, out);
        close(x, y, product);
    }

    /** Convolves an image (height, width) with a kernel (size, size): stride 1, zeros beyond the border. */
    public static void convolve(long image, long kernel, long out, int height, int width, int size) {
        INDArray x = array(image, 1, 1, height, width);
        INDArray w = array(kernel, 1, 1, size, size).permute(2, 3, 1, 0).dup();
        INDArray y = Nd4j.createUninitialized(DataType.FLOAT, 1, 1, height, width);
        Conv2DConfig config = Conv2DConfig.builder()
                .kH(size)
                .kW(size)
                .sH(1)
                .sW(1)
                .paddingMode(PaddingMode.SAME)
                .dataFormat(Conv2DConfig.NCHW)
                .build();
        Nd4j.exec(new Conv2D(new INDArray[] {x, w}, new INDArray[] {y}, config));
        Parameters.copy(y, out);
        close(x, w, y);
    }

    private static INDArray array(long address, long... shape) {
        INDArray array = Nd4j.createUninitialized(DataType.FLOAT, shape);
        Parameters.assign(array, address);
        return array;
    }

    private static void close(INDArray... arrays) {
        for (INDArray array : arrays) {
            array.close();
        }
    }

    /** Returns versions, backend, BLAS, oneDNN, threads and memory as JSON. */
    public static String info() {
        Properties environment = Nd4j.getExecutioner().getEnvironmentInformation();
        Map<String, Object> info = new LinkedHashMap<>();
        info.put("java", System.getProperty("java.vm.name") + " " + System.getProperty("java.runtime.version"));
        info.put("java_home", System.getProperty("java.home"));
        info.put("deeplearning4j", version(MultiLayerNetwork.class, "1.0.0-M2.1"));
        info.put("backend", Nd4j.getBackend().getClass().getSimpleName());
        info.put("blas", String.valueOf(environment.get("blas.vendor")));
        info.put("onednn", BaseMKLDNNHelper.mklDnnEnabled());
        info.put("engine", CompiledNetworks.engine());
        info.put("threads", Nd4j.getEnvironment().maxThreads());
        info.put("cores", Runtime.getRuntime().availableProcessors());
        info.put("heap_max_bytes", Runtime.getRuntime().maxMemory());
        info.put(
                "heap_used_bytes",
                Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory());
        info.put("off_heap_max_bytes", Nd4j.getEnvironment().getDeviceLimit(0));
        info.put("resident_bytes", Pointer.physicalBytes());
        info.put("java_threads", ManagementFactory.getThreadMXBean().getThreadCount());
        info.put("open_handles", Handles.count());
        return Json.write(info);
    }

    private static String version(Class<?> type, String otherwise) {
        String version = type.getPackage().getImplementationVersion();
        return version == null ? otherwise : version;
    }
}
