package org.pyimgret.engine;

/** The exponential of float32 values: shorter than {@link Math#exp}, to 2 units in the last place. */
final class Exponential {

    private static final float LOG2_E = 1.44269504f;
    /** Adding 1.5 x 2^23 leaves a number's whole part in the lowest bits. */
    private static final float ROUND = 12582912f;

    private static final float HIGH = 0.693359375f;
    private static final float LOW = -2.12194440e-4f;

    private Exponential() {}

    /** e^x by 2^k e^r, |r| below ln(2)/2, with the polynomial of Cephes (Moshier 1992). */
    static float exp(float x) {
        float limited = Math.max(-87f, Math.min(88f, x));
        float shifted = limited * LOG2_E + ROUND;
        float k = shifted - ROUND;
        float r = limited - k * HIGH - k * LOW;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        float scale = Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + 0x3f800000);
        return (p * r * r + r + 1f) * scale;
    }
}
