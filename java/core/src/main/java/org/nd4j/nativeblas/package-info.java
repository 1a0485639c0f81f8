/** One class that Deeplearning4j looks for under this name and no longer ships. */
package org.nd4j.nativeblas;
