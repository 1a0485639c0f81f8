package org.pyimgret.nn.engine;

import java.util.List;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;

/**
 * Runs layers on the calling thread, in memory that it keeps from call to call.
 *
 * <p>For one thread at a time. How many threads BLAS takes is the caller's to say.
 */
public final class Solo implements AutoCloseable {

    private final int piece;
    private final Matrix result;
    private final Layers layers;

    Solo(MultiLayerNetwork network, List<Block> blocks, int piece) {
        this.piece = piece;
        result = Matrix.allocate(piece, blocks.get(blocks.size() - 1).results(), 1);
        layers = new Layers(network, blocks, piece, result);
    }

    /**
     * Runs rows.
     *
     * @param source where they come from
     * @param rows how many
     * @return rows x width values of the last layer
     */
    public float[] run(Inference.Source source, int rows) {
        float[] values = new float[Math.multiplyExact(rows, result.columns)];
        for (int first = 0; first < rows; first += piece) {
            int count = Math.min(piece, rows - first);
            layers.take(source, first, count);
            result.at(0, 0).get(values, first * result.columns, count * result.columns);
        }
        return values;
    }

    @Override
    public void close() {
        layers.close();
        result.close();
    }
}
