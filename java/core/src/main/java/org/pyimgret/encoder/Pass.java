package org.pyimgret.encoder;

import java.util.List;

/** A way through a network, for one thread at a time, in memory that is used again. */
interface Pass extends AutoCloseable {

    /** Gives the codes of prepared pictures, (height, width, channels) each, one after the other. */
    float[] codes(List<float[]> tensors);

    @Override
    void close();
}
