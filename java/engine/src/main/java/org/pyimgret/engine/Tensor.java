package org.pyimgret.engine;

/** What a node gives in training, or the gradient of that: a share of the batch for each worker. */
final class Tensor {

    final Shape shape;

    /** By worker; null for one without an image. */
    final Value[] shares;

    /** All shares, one after the other, of vectors: weights learn from all of them at once. */
    final Value whole;

    /** Whether it is the gradient of several nodes, and not to be overwritten by one of them. */
    boolean aliased;

    /**
     * Makes one.
     *
     * @param images of each worker
     * @param position the step that fills it
     */
    Tensor(Shape shape, int[] images, int position) {
        this.shape = shape;
        shares = new Value[images.length];
        int all = 0;
        for (int worker = 0; worker < images.length; worker++) {
            all += images[worker];
            if (images[worker] > 0) {
                shares[worker] = Value.of(images[worker], shape, Encoding.FLOAT32, position);
            }
        }
        whole = shape.vector ? Value.of(all, shape, Encoding.FLOAT32, position) : null;
    }

    /** A worker's share. */
    View view(int worker) {
        return new View(shares[worker], new Range(0, shape.size()));
    }

    /** A worker's share as Java's loops see it, once memory is there. */
    FloatView floats(int worker, long block) {
        Value share = shares[worker];
        return new FloatView(block + share.offset, share.bytes() / Float.BYTES);
    }

    /** Places the shares within the whole. */
    void placeShares() {
        long offset = whole.offset;
        for (Value share : shares) {
            if (share != null) {
                share.offset = offset;
                offset += share.bytes();
            }
        }
    }
}
