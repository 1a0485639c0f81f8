/** Networks: settings to Deeplearning4j configurations, training, batches. */
package org.pyimgret.nn;
