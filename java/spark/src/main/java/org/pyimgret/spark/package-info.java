/**
 * Training and bulk encoding on Apache Spark.
 *
 * <p>{@link org.pyimgret.spark.SparkTrainer} averages the parameters of workers that each train on
 * their share; {@link org.pyimgret.spark.SparkEncoder} runs a saved model over images or vectors
 * and writes Parquet. Both are the main classes that {@code spark-submit} runs, and take one JSON
 * document as their argument. Data is a {@link org.pyimgret.spark.Records}, read by the executors
 * where it lies.
 */
package org.pyimgret.spark;
