package org.pyimgret.engine;

/**
 * Dropout (Srivastava et al. 2014), what is kept being scaled up.
 *
 * <p>Whether a number stays is a function of the seed and its place alone: the way back computes it
 * again, and training that goes on from a checkpoint draws what it would have drawn.
 */
final class DropoutTraining extends TrainingOperation {

    private final float kept;

    DropoutTraining(Node node, TrainingCompiler compiler) {
        super(node, compiler);
        kept = ((Operation.Dropout) node.operation).kept;
    }

    @Override
    void forward() {
        drop(input(), output());
    }

    @Override
    void backward(Tensor gradient) {
        Tensor target = inputGradient(gradient);
        drop(gradient, target);
        compiler.addGradient(node.inputs.get(0), target);
    }

    private void drop(Tensor from, Tensor to) {
        int size = node.shape.size();
        // Of each dropout another one, on the way back the same.
        int salt = node.name.hashCode();
        program.each(worker -> program.add(worker, block -> {
            FloatView in = from.floats(worker, block);
            FloatView out = to.floats(worker, block);
            int place = program.firstRow(worker) * size;
            float[] piece = new float[FloatView.PIECE];
            return () -> {
                for (int i = 0; i < in.count(); i += piece.length) {
                    int n = Math.min(piece.length, in.count() - i);
                    in.read(i, piece, n);
                    apply(piece, n, program.batch.seed + salt, place + i, kept);
                    out.write(i, piece, n);
                }
            };
        }));
    }

    /** Scales or clears the numbers from place {@code first} on. */
    static void apply(float[] x, int n, int seed, int first, float kept) {
        int bound = (int) (kept * (1 << 24));
        float scale = 1f / kept;
        for (int i = 0; i < n; i++) {
            x[i] *= (hash(seed + first + i) >>> 8) < bound ? scale : 0f;
        }
    }

    /** The finaliser of MurmurHash3 (Appleby 2011). */
    private static int hash(int number) {
        int h = number * 0x9E3779B9;
        h = (h ^ (h >>> 16)) * 0x85EBCA6B;
        h = (h ^ (h >>> 13)) * 0xC2B2AE35;
        return h ^ (h >>> 16);
    }
}
