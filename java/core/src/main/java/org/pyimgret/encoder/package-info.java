/** From images to embeddings, in a JVM. */
package org.pyimgret.encoder;
