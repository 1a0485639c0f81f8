package org.pyimgret.engine;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class LoneImagePolicyTest {

    private static final int RUNS = 2_000;

    /** Runs images that take so long alone and shared, where workers that slept take longer. */
    private static int shared(LoneImagePolicy policy, long alone, long shared, long asleep) {
        int count = 0;
        boolean awake = false;
        for (int run = 0; run < RUNS; run++) {
            boolean shares = policy.shares();
            policy.took(shares, shares ? awake ? shared : asleep : alone);
            awake = shares;
            count += shares ? 1 : 0;
        }
        return count;
    }

    @Test
    void sharesWhereThatIsFasterOnceTheWorkersAreAwake() {
        assertTrue(shared(new LoneImagePolicy(), 80, 45, 200) > RUNS * 0.9);
    }

    @Test
    void doesNotShareWhereWorkersWaitForEachOther() {
        assertTrue(shared(new LoneImagePolicy(), 80, 95, 200) < RUNS * 0.1);
    }

    @Test
    void followsTheLoadOfTheMachine() {
        LoneImagePolicy policy = new LoneImagePolicy();
        shared(policy, 80, 45, 200);
        assertTrue(shared(policy, 80, 300, 400) < RUNS * 0.2);
        assertTrue(shared(policy, 80, 45, 200) > RUNS * 0.7);
    }

    @Test
    void anInterruptedRunDoesNotChangeItsMind() {
        LoneImagePolicy policy = new LoneImagePolicy();
        shared(policy, 80, 45, 200);
        policy.took(true, 1_000_000);
        policy.took(true, 1_000_000);
        assertTrue(shared(policy, 80, 45, 200) > RUNS * 0.9);
    }
}
