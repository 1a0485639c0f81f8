package org.pyimgret.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The pieces that contrastive divergence is made of, each against what it stands for. */
class RbmPiecesTest {

    private static final int COUNT = 200_000;

    @Test
    void sigmoidIsTheLogisticFunction() {
        float[] x = new float[4001];
        for (int i = 0; i < x.length; i++) {
            x[i] = (i - 2000) / 40f;
        }
        float[] y = x.clone();
        Sigmoid.apply(y, y.length);
        for (int i = 0; i < x.length; i++) {
            assertEquals(1 / (1 + Math.exp(-x[i])), y[i], 3e-7);
            assertTrue(y[i] >= 0 && y[i] <= 1);
        }
    }

    @Test
    void sigmoidOfWhatIsNoNumberIsNone() {
        float[] x = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
        Sigmoid.apply(x, 3);
        assertTrue(Float.isNaN(x[0]));
        assertEquals(1, x[1], 1e-6);
        assertEquals(0, x[2], 1e-6);
    }

    @Test
    void statesAreOnAsOftenAsTheirProbabilitySays() {
        for (float p : new float[] {0f, 0.001f, 0.3f, 0.999f, 1f}) {
            float[] means = new float[COUNT];
            float[] states = new float[COUNT];
            Arrays.fill(means, p);
            RandomSamples.bernoulli(means, states, COUNT, 7, 0);
            double on = 0;
            for (float state : states) {
                assertTrue(state == 0 || state == 1);
                on += state;
            }
            assertEquals(p, on / COUNT, 5 * Math.sqrt(p * (1 - p) / COUNT));
        }
    }

    @Test
    void chanceBelongsToTheUnitAndNotToTheSlice() {
        float[] p = new float[101];
        Arrays.fill(p, 0.5f);
        float[] whole = new float[101];
        RandomSamples.bernoulli(p, whole, 101, 3, 0);
        float[] part = new float[69];
        RandomSamples.bernoulli(p, part, 69, 3, 32);
        assertArrayEquals(Arrays.copyOfRange(whole, 32, 101), part);
        float[] other = new float[101];
        RandomSamples.bernoulli(p, other, 101, 4, 0);
        assertTrue(!Arrays.equals(whole, other));
    }

    @Test
    void normalDeviatesHaveMeanZeroAndVarianceOne() {
        float[] out = new float[COUNT];
        RandomSamples.normal(out, COUNT, 11, 0);
        double sum = 0;
        double squares = 0;
        double fourths = 0;
        for (float x : out) {
            sum += x;
            squares += (double) x * x;
            fourths += Math.pow(x, 4);
        }
        assertEquals(0, sum / COUNT, 0.012);
        assertEquals(1, squares / COUNT, 0.016);
        assertEquals(3, fourths / COUNT, 0.12);
    }
}
