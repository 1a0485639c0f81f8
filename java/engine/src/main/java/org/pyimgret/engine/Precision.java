package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_bf16;
import static org.bytedeco.dnnl.global.dnnl.dnnl_f32;

/** The type of the numbers between a network's layers. */
public enum Precision {
    /** IEEE single precision: equals Deeplearning4j to five digits. */
    FLOAT32(dnnl_f32, 4),
    /** bfloat16: the range of float32 with 8 bits of precision; twice as fast on processors that have it. */
    BFLOAT16(dnnl_bf16, 2);

    final int type;
    final int bytes;

    Precision(int type, int bytes) {
        this.type = type;
        this.bytes = bytes;
    }
}
