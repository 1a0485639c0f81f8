package org.pyimgret.nn;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Updater;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.pyimgret.engine.Memory;

/** A network's numbers, out and in. */
public final class Parameters {

    /** Bytes at a time: a buffer of Java's holds less than 2 GiB. */
    private static final long BLOCK = 1 << 30;

    private Parameters() {}

    /**
     * Copies values out.
     *
     * @param array of float32
     * @param out address of as many values, written in C order of the array's shape
     */
    public static void copy(INDArray array, long out) {
        INDArray flat = plain(array) ? array : array.dup('c');
        Memory.floats(out, array.length()).put(Memory.floats(address(flat), array.length()));
        if (flat != array) {
            flat.close();
        }
    }

    /**
     * Copies values in.
     *
     * @param array of float32
     * @param in address of as many values, in C order of the array's shape
     */
    public static void assign(INDArray array, long in) {
        if (plain(array)) {
            Memory.floats(address(array), array.length()).put(Memory.floats(in, array.length()));
            return;
        }
        INDArray values = array.ulike();
        INDArray flat = values.ordering() == 'c'
                ? values
                : org.nd4j.linalg.factory.Nd4j.createUninitialized(array.dataType(), array.shape(), 'c');
        Memory.floats(address(flat), array.length()).put(Memory.floats(in, array.length()));
        array.assign(flat);
        flat.close();
        if (flat != values) {
            values.close();
        }
    }

    /** Sums numbers up so that any change of them shows. */
    static long checksum(INDArray array) {
        CRC32C sum = new CRC32C();
        long bytes = array.length() * Float.BYTES;
        for (long done = 0; done < bytes; done += BLOCK) {
            long count = Math.min(BLOCK, bytes - done);
            sum.update(Memory.bytes(address(array) + done, count).asBuffer());
        }
        return sum.getValue();
    }

    private static boolean plain(INDArray array) {
        return array.ordering() == 'c' && !array.isView();
    }

    private static long address(INDArray array) {
        return array.data().address();
    }

    /**
     * Describes a network.
     *
     * @param network what
     * @return JSON: {@code layers}, a list of {@code index, name, type, parameters} (key to shape),
     *     and {@code count}, the number of parameters
     */
    public static String describe(MultiLayerNetwork network) {
        List<Map<String, Object>> layers = new ArrayList<>();
        for (Layer layer : network.getLayers()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("index", layer.getIndex());
            entry.put("name", layer.conf().getLayer().getLayerName());
            entry.put("type", layer.conf().getLayer().getClass().getSimpleName());
            entry.put(
                    "helper",
                    layer.getHelper() == null
                            ? null
                            : layer.getHelper().getClass().getSimpleName());
            Map<String, long[]> shapes = new LinkedHashMap<>();
            layer.paramTable().forEach((k, v) -> shapes.put(layer.getIndex() + "_" + k, v.shape()));
            entry.put("parameters", shapes);
            layers.add(entry);
        }
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("layers", layers);
        description.put("count", network.numParams());
        return Json.write(description);
    }

    /**
     * Frees what a network keeps outside the Java heap, rather than whenever Java collects.
     *
     * @param network not to be used afterwards
     */
    public static void free(MultiLayerNetwork network) {
        CompiledNetworks.changed(network);
        // NB: MultiLayerNetwork.close() would collect garbage, and end every workspace of the thread.
        Updater updater = network.getUpdater(false);
        close(network.params());
        close(network.getFlattenedGradients());
        close(updater == null ? null : updater.getStateViewArray());
    }

    private static void close(INDArray array) {
        if (array != null && array.closeable()) {
            array.close();
        }
    }
}
