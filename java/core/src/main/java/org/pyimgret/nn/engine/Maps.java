package org.pyimgret.nn.engine;

import java.util.ArrayList;
import java.util.List;

/** The convolutions that a network begins with, in training. */
final class Maps implements AutoCloseable {

    /** What the first dense layer reads: rows of (channel, height, width). */
    final Matrix result;
    /** The gradient of the result. */
    final Matrix signal;

    private final List<MapStage> stages = new ArrayList<>();
    private final Crew crew;
    private final int channels;
    private final float[][] theirs;
    private final float[][] ours;

    Maps(List<Block> blocks, Matrix parameters, int images, Crew crew) {
        this.crew = crew;
        for (Block block : blocks) {
            stages.add(new MapStage(block, parameters, images, crew.size));
        }
        Block last = blocks.get(blocks.size() - 1);
        channels = last.outputs;
        result = Matrix.allocate(images, last.results(), crew.size);
        signal = Matrix.allocate(images, last.results(), crew.size);
        theirs = new float[crew.size][last.results()];
        ours = new float[crew.size][last.results()];
    }

    /** Computes the result, a share of the images; returns when all threads have. */
    void forward(int t, Matrix input, int images) {
        int first = crew.firstRow(t, images);
        int last = crew.firstRow(t + 1, images);
        for (MapStage stage : stages) {
            stage.begin(t, crew.from(t, stage.block.outputs), crew.to(t, stage.block.outputs));
        }
        crew.await();
        Matrix x = input;
        for (MapStage stage : stages) {
            stage.forward(t, x, first, last, images, crew);
            x = stage.result;
        }
        int n = ours[t].length;
        for (int i = first; i < last; i++) {
            x.read(t, i * n, ours[t], n);
            Windows.transpose(ours[t], theirs[t], n / channels, channels);
            result.write(t, i * n, theirs[t], n);
        }
        crew.await();
    }

    /** Goes back from the signal, and steps. */
    void backward(int t, Matrix input, int images, Updates updates) {
        int first = crew.firstRow(t, images);
        int last = crew.firstRow(t + 1, images);
        Matrix d = stages.get(stages.size() - 1).signal;
        int n = ours[t].length;
        for (int i = first; i < last; i++) {
            signal.read(t, i * n, theirs[t], n);
            Windows.transpose(theirs[t], ours[t], channels, n / channels);
            d.write(t, i * n, ours[t], n);
        }
        for (int k = stages.size() - 1; k >= 0; k--) {
            Matrix x = k == 0 ? input : stages.get(k - 1).result;
            stages.get(k).backward(t, x, first, last, images, k == 0 ? null : stages.get(k - 1).signal, crew);
        }
        crew.await();
        for (MapStage stage : stages) {
            stage.step(t, updates, images, crew.from(t, stage.block.outputs), crew.to(t, stage.block.outputs));
        }
    }

    @Override
    public void close() {
        stages.forEach(MapStage::close);
        result.close();
        signal.close();
    }
}
