package org.nd4j.nativeblas;

import org.nd4j.linalg.factory.Nd4j;

/**
 * Opens oneDNN for Deeplearning4j 1.0.0-M2.1.
 *
 * <p>Its helpers call a class of this name, by reflection, to find whether oneDNN may be used; M2
 * moved the class to another package, so without this one every helper reports "not supported" and
 * convolutions run on the slow path. The system property {@link #HELPERS_DISABLED} must be false as
 * well.
 */
public final class Nd4jCpu {

    /** The system property that prevents Deeplearning4j from using oneDNN. */
    public static final String HELPERS_DISABLED = "org.eclipse.deeplearning4j.helpers.disable";

    private Nd4jCpu() {}

    /** What {@code BaseMKLDNNHelper.mklDnnEnabled()} looks for. */
    public static final class Environment {

        private static final Environment INSTANCE = new Environment();

        private Environment() {}

        /** Returns the only instance. */
        public static Environment getInstance() {
            return INSTANCE;
        }

        /** Says whether the helpers of Deeplearning4j and of the native library may use oneDNN. */
        public boolean isUseMKLDNN() {
            boolean disabled = Boolean.parseBoolean(System.getProperty(HELPERS_DISABLED, "true"));
            return !disabled && Nd4j.getEnvironment().helpersAllowed();
        }
    }
}
