package org.pyimgret.bridge;

import org.pyimgret.nn.Json;
import org.pyimgret.nn.RbmInference;
import org.pyimgret.nn.RbmTrainer;

/**
 * What Python calls for restricted Boltzmann machines; the rules are those of {@link Bridge}.
 *
 * <p>A machine's parameters lie in the caller's memory and are changed there: there is no object to
 * hold.
 */
public final class RbmBridge {

    private RbmBridge() {}

    /**
     * Trains for an epoch.
     *
     * @param settings JSON, see {@link RbmTrainer}
     * @param progress address of two float64, see {@link RbmTrainer}
     * @return JSON, see {@link RbmTrainer#run}
     */
    public static String rbmEpoch(String settings, long progress) {
        return Json.write(new RbmTrainer(Json.parse(settings), progress).run());
    }

    /**
     * Computes the hidden units' means.
     *
     * @param settings JSON, see {@link RbmInference}; the images are visible values
     * @param out address of count x n_hidden float32
     */
    public static void rbmHidden(String settings, long out) {
        new RbmInference(Json.parse(settings)).hidden(out);
    }

    /**
     * Computes the visible units' means.
     *
     * @param settings JSON, see {@link RbmInference}; the images are hidden values
     * @param out address of count x n_visible float32
     */
    public static void rbmVisible(String settings, long out) {
        new RbmInference(Json.parse(settings)).visible(out);
    }

    /**
     * Runs block Gibbs sampling.
     *
     * @param settings JSON, see {@link RbmInference}; the images are where the chains start
     * @param steps how many times hidden and visible units are drawn, at least 1
     * @param seed of all chance
     * @param out address of count x n_visible float32
     */
    public static void rbmGibbs(String settings, int steps, long seed, long out) {
        new RbmInference(Json.parse(settings)).gibbs(steps, seed, out);
    }

    /**
     * Computes free energies.
     *
     * @param settings JSON, see {@link RbmInference}; the images are visible values
     * @param out address of count float64
     */
    public static void rbmFreeEnergy(String settings, long out) {
        new RbmInference(Json.parse(settings)).freeEnergy(out);
    }
}
