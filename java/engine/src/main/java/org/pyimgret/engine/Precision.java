package org.pyimgret.engine;

/** The numbers between a network's layers. */
public enum Precision {
    /** IEEE single precision: equals Deeplearning4j to five digits. */
    FLOAT32,
    /** bfloat16: the range of float32 with 8 bits of precision; twice as fast where the processor has it. */
    BFLOAT16,
    /** Eight bits in convolutions, of ranges that a sample of the inputs has. */
    INT8
}
