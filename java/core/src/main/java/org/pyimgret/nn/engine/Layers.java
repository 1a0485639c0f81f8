package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;

/** What one thread needs to run rows through blocks: folded normalisations, and memory in between. */
final class Layers implements AutoCloseable {

    /** Values of convolutions at a time: 1 MiB, the second-level cache. */
    private static final int GROUP = 1 << 18;

    /** The dense ones. */
    private final List<Block> blocks;

    private final List<MapRun> maps = new ArrayList<>();
    private final List<Matrix> pictures = new ArrayList<>();
    private final StopFlag stop = StopFlag.current();
    private final int group;
    private final Matrix parameters;
    private final Matrix result;
    private final List<Affine> folded = new ArrayList<>();
    private final Matrix[] between = new Matrix[2];
    private final Matrix memory;
    private final Matrix input;
    private final Matrix flat;
    private final float[] ours;
    private final float[] theirs;
    private final float[] row;
    private final float[] raw;

    /**
     * Makes room.
     *
     * @param piece rows at a time
     * @param result receives the rows of the last block
     */
    Layers(MultiLayerNetwork network, List<Block> all, int piece, Matrix result) {
        List<Block> convolutions = Block.convolutions(all);
        blocks = all.subList(convolutions.size(), all.size());
        this.result = result;
        parameters = Matrix.view(network.params(), 1);
        int inputs = all.get(0).values();
        int widest = blocks.stream().mapToInt(b -> b.outputs).max().orElse(1);
        group = group(convolutions, piece);
        convolutions.forEach(block -> maps.add(new MapRun(block, parameters, group)));
        int largest = convolutions.stream().mapToInt(Block::results).max().orElse(0);
        for (int i = 0; i < 2 && !maps.isEmpty(); i++) {
            pictures.add(Matrix.allocate(group, largest, 1));
        }
        int flattened = maps.isEmpty() ? 0 : maps.get(maps.size() - 1).block.results();
        ours = new float[flattened];
        theirs = new float[flattened];
        // NB: one piece of memory: to allocate costs as much as to multiply a few rows.
        memory = Matrix.allocate(piece, inputs + flattened + 2 * widest, 1);
        input = memory.part(0, piece, inputs);
        flat = memory.part((long) piece * inputs, piece, flattened);
        between[0] = memory.part((long) piece * (inputs + flattened), piece, widest);
        between[1] = memory.part((long) piece * (inputs + flattened + widest), piece, widest);
        row = new float[widest];
        raw = new float[piece * inputs];
        blocks.forEach(block -> folded.add(new Affine(block, parameters)));
    }

    /** Images that go through the convolutions at a time. */
    private static int group(List<Block> convolutions, int piece) {
        int most = convolutions.stream().mapToInt(b -> b.windows.count() * b.outputs).max().orElse(1);
        return Math.max(1, Math.min(piece, GROUP / most));
    }

    private float[] read(int place, int n) {
        float[] values = new float[n];
        parameters.read(0, place, values, n);
        return values;
    }

    /** Takes pieces until there are none left. */
    void takeAll(Inference.Source source, AtomicLong next, int piece, long rows) {
        for (long first = next.getAndAdd(piece); first < rows; first = next.getAndAdd(piece)) {
            stop.check();
            int count = (int) Math.min(piece, rows - first);
            source.read(first, count, raw);
            run(count, first);
        }
    }

    /** Runs some rows of the source; they are the result's first. */
    void take(Inference.Source source, long first, int count) {
        source.read(first, count, raw);
        run(count, 0);
    }

    private void run(int count, long first) {
        input.write(0, 0, raw, count * input.columns);
        Matrix x = maps.isEmpty() ? input : convolve(first, count);
        for (int k = 0; k < blocks.size(); k++) {
            Block block = blocks.get(k);
            boolean last = k == blocks.size() - 1;
            Matrix out = between[k % 2].as(block.outputs);
            if (Gemm.few(count, x.columns)) {
                Gemm.forwardFew(x, parameters, block.weights, out, count, block.outputs);
            } else {
                Gemm.forward(0, x, parameters, block.weights, out, count, 0, block.outputs);
            }
            finish(k, out, count, last ? first : -1);
            x = out;
        }
    }

    /** Runs the convolutions, a group after the other; gives rows of (channel, height, width). */
    private Matrix convolve(long first, int count) {
        for (int from = 0; from < count; from += group) {
            stop.check();
            int images = Math.min(group, count - from);
            Matrix x = input;
            for (int k = 0; k < maps.size(); k++) {
                Matrix out = pictures.get(k % 2).as(maps.get(k).block.results());
                maps.get(k).run(x, k == 0 ? from : 0, images, out);
                x = out;
            }
            flatten(x, from, images, first);
        }
        return flat;
    }

    private void flatten(Matrix x, int from, int images, long first) {
        int channels = maps.get(maps.size() - 1).block.outputs;
        int n = ours.length;
        for (int i = 0; i < images; i++) {
            x.read(0, i * n, ours, n);
            Windows.transpose(ours, theirs, n / channels, channels);
            if (blocks.isEmpty()) {
                result.at(0, (first + from + i) * n).put(theirs, 0, n);
            } else {
                flat.write(0, (from + i) * n, theirs, n);
            }
        }
    }

    /** Bias, normalisation and activations of all rows; those of the last block go to the caller. */
    private void finish(int k, Matrix values, int count, long first) {
        Block block = blocks.get(k);
        int n = block.outputs;
        float[] bias = block.bias >= 0 ? read(block.bias, n) : null;
        for (int r = 0; r < count; r++) {
            values.read(0, r * n, row, n);
            if (bias != null) {
                Loops.add(row, bias, n);
            }
            block.inner.apply(row, n);
            if (block.normalised()) {
                Loops.affine(row, folded.get(k).factor, folded.get(k).term, n);
                block.outer.apply(row, n);
            }
            if (block.softmax) {
                Objective.softmax(row, n);
            }
            if (first < 0) {
                values.write(0, r * n, row, n);
            } else {
                result.at(0, (first + r) * n).put(row, 0, n);
            }
        }
    }

    @Override
    public void close() {
        memory.close();
        pictures.forEach(Matrix::close);
        maps.forEach(MapRun::close);
    }
}
