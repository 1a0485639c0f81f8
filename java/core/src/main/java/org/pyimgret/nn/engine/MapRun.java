package org.pyimgret.nn.engine;

/** One convolution of a network that is only run, with what follows it; one thread's. */
final class MapRun implements AutoCloseable {

    final Block block;
    private final Slider slider;
    private final Matrix weights;
    private final Matrix values;
    private final float[] picture;
    private final float[] line;
    private final float[] pooled;
    private final float[] bias;
    private final float[] factor;
    private final float[] term;

    /**
     * Reads the weights.
     *
     * @param parameters all of the network's
     * @param images most at a time
     */
    MapRun(Block block, Matrix parameters, int images) {
        this.block = block;
        int n = block.windows.count() * block.outputs;
        slider = new Slider(block.windows, block.outputs, false, false, 1);
        weights = Matrix.allocate(block.outputs, block.inputs, 1);
        values = Matrix.allocate(images, n, 1);
        picture = new float[n];
        line = new float[block.windows.outWidth * block.outputs];
        pooled = new float[block.results()];
        bias = new float[n];
        factor = new float[n];
        term = new float[n];
        block.arrange(0, parameters, weights, 0, block.outputs);
        block.tileBias(0, parameters, new float[block.outputs], bias);
        Affine folded = new Affine(block, parameters);
        Windows.tile(folded.factor, block.outputs, factor);
        Windows.tile(folded.term, block.outputs, term);
    }

    /** Runs images: x from {@code first} on, to {@code out} from its beginning. */
    void run(Matrix x, int first, int count, Matrix out) {
        slider.forward(0, x, first, first + count, weights, values, 0);
        for (int i = 0; i < count; i++) {
            values.read(0, i * picture.length, picture, picture.length);
            Loops.add(picture, bias, picture.length);
            block.inner.apply(picture, picture.length);
            if (block.normalised()) {
                Loops.affine(picture, factor, term, picture.length);
                block.outer.apply(picture, picture.length);
            }
            out.write(0, i * pooled.length, block.pool(picture, line, pooled), pooled.length);
        }
    }

    @Override
    public void close() {
        slider.close();
        weights.close();
        values.close();
    }
}
