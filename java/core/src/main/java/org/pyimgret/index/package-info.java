/** Cosine search over an index directory, in a JVM. */
package org.pyimgret.index;
