/**
 * Runs and trains Deeplearning4j networks on oneDNN 3.
 *
 * <p>The way of a network: {@code NetworkReader} and {@code LayerReader} read it as a {@code Graph}
 * of {@code Node}s with {@code Operation}s; {@code Fusion} puts normalisations, activations and
 * additions into the convolutions before them; {@code Compiler} divides each node among workers
 * ({@code Partition}), makes oneDNN's primitives of it ({@code Lowering}, {@code PrimitiveBuilder},
 * {@code ParameterStore}) and places what they pass on in one block of memory ({@code MemoryPlan}).
 * The {@code Program} that results is run by {@link org.pyimgret.engine.InferenceNetwork} as one
 * {@code Execution} for each thread.
 *
 * <p>To train, {@code TrainingCompiler} makes a {@code TrainingOperation} of each node, which runs
 * forward and back on each worker's share of a batch; {@code Loss} begins the way back, and {@code
 * Optimizer} changes the network's own parameters. {@link org.pyimgret.engine.TrainingNetwork} runs
 * the {@code TrainingProgram} that results, an iteration at a time.
 */
package org.pyimgret.engine;
