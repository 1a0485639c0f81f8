package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

/** How the numbers of a result are stored: their type and, for whole numbers, what one stands for. */
final class Encoding {

    static final Encoding FLOAT32 = new Encoding(dnnl_f32, 4, 1);
    static final Encoding BFLOAT16 = new Encoding(dnnl_bf16, 2, 1);

    /** oneDNN's type. */
    final int type;

    final int bytes;

    /** The number that 1 stands for. */
    final float scale;

    private Encoding(int type, int bytes, float scale) {
        this.type = type;
        this.bytes = bytes;
        this.scale = scale;
    }

    /** Eight bits for numbers of a range: unsigned where none is below zero. */
    static Encoding int8(float least, float largest) {
        float most = Math.max(Math.abs(least), Math.abs(largest));
        float range = most > 0 ? most : 1;
        return least >= 0 ? new Encoding(dnnl_u8, 1, range / 255) : new Encoding(dnnl_s8, 1, range / 127);
    }

    boolean isInt8() {
        return bytes == 1;
    }
}
