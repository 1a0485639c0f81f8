package org.pyimgret.encoder;

import org.deeplearning4j.nn.layers.mkldnn.BaseMKLDNNHelper;

/** Whether Deeplearning4j may use oneDNN in this process; only the host can change that. */
final class OneDnn {

    private static final String DISABLED = "org.eclipse.deeplearning4j.helpers.disable";

    private OneDnn() {}

    static String state() {
        if (BaseMKLDNNHelper.mklDnnEnabled()) {
            return "on";
        }
        if (Boolean.parseBoolean(System.getProperty(DISABLED, "true"))) {
            return "off: start the JVM with -Dorg.eclipse.deeplearning4j.helpers.disable=false";
        }
        return "off: use an nd4j-native with a classifier of -onednn, and see that the class"
                + " loader of Deeplearning4j finds org.nd4j.nativeblas.Nd4jCpu of pyimgret-core";
    }
}
