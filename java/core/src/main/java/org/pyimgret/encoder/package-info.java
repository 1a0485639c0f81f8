/** From pictures to embeddings, in a JVM. */
package org.pyimgret.encoder;
