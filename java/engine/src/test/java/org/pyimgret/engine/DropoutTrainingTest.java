package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DropoutTrainingTest {

    @Test
    void leavesOutTheRateAndKeepsTheMean() {
        float[] x = new float[100_000];
        Arrays.fill(x, 1f);
        DropoutTraining.apply(x, x.length, 5, 0, 0.7f);
        double sum = 0;
        int left = 0;
        for (float v : x) {
            sum += v;
            left += v == 0f ? 1 : 0;
        }
        assertEquals(0.3, left / 1e5, 0.005);
        assertEquals(1.0, sum / 1e5, 0.01);
    }
}
