package org.nd4j.nativeblas;

import org.nd4j.linalg.factory.Nd4j;

/**
 * Opens oneDNN for Deeplearning4j 1.0.0-M2.1.
 *
 * <p>Its helpers ask a class of this name, by reflection, whether oneDNN may be used; M2 moved the
 * class to another package, so without this one every helper reports "not supported" and
 * convolutions run on the slow path. The second lock is the system property {@code
 * org.eclipse.deeplearning4j.helpers.disable=false}.
 */
public final class Nd4jCpu {

    private static final String DISABLED = "org.eclipse.deeplearning4j.helpers.disable";

    private Nd4jCpu() {}

    /** What {@code BaseMKLDNNHelper.mklDnnEnabled()} looks for. */
    public static final class Environment {

        private static final Environment INSTANCE = new Environment();

        private Environment() {}

        /**
         * Returns the only instance.
         *
         * @return the environment that Deeplearning4j asks
         */
        public static Environment getInstance() {
            return INSTANCE;
        }

        /**
         * Says whether convolutions may run on oneDNN.
         *
         * @return whether the helpers of Deeplearning4j and of the native library are allowed
         */
        public boolean isUseMKLDNN() {
            boolean disabled = Boolean.parseBoolean(System.getProperty(DISABLED, "true"));
            return !disabled && Nd4j.getEnvironment().helpersAllowed();
        }
    }
}
