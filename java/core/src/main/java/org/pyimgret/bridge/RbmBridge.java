package org.pyimgret.bridge;

import org.pyimgret.nn.Json;
import org.pyimgret.nn.RbmInference;
import org.pyimgret.nn.RbmTrainer;

/**
 * What Python calls for restricted Boltzmann machines; the rules are those of {@link Bridge}.
 *
 * <p>The parameters are in the caller's memory and are changed there, so there is no handle.
 * {@code settings} is JSON, see {@link RbmInference}, or for training {@link RbmTrainer}.
 */
public final class RbmBridge {

    private RbmBridge() {}

    /** Trains for an epoch and returns JSON; {@code progress} is the address of two float64. */
    public static String rbmEpoch(String settings, long progress) {
        return Json.write(new RbmTrainer(Json.parse(settings), progress).run());
    }

    /** Computes the means of the hidden units, (count, n_hidden) float32, from visible values. */
    public static void rbmHidden(String settings, long out) {
        new RbmInference(Json.parse(settings)).hidden(out);
    }

    /** Computes the means of the visible units, (count, n_visible) float32, from hidden values. */
    public static void rbmVisible(String settings, long out) {
        new RbmInference(Json.parse(settings)).visible(out);
    }

    /**
     * Runs block Gibbs sampling from visible values on; gives (count, n_visible) float32.
     *
     * @param steps how many times hidden and visible units are drawn, at least 1
     * @param seed of all random numbers
     */
    public static void rbmGibbs(String settings, int steps, long seed, long out) {
        new RbmInference(Json.parse(settings)).gibbs(steps, seed, out);
    }

    /** Computes the free energies of visible values, (count,) float64. */
    public static void rbmFreeEnergy(String settings, long out) {
        new RbmInference(Json.parse(settings)).freeEnergy(out);
    }
}
