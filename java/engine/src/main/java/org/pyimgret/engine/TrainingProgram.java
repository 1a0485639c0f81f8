package org.pyimgret.engine;

/** A compiled iteration of training: what each worker does, and the memory that it does it in. */
final class TrainingProgram implements AutoCloseable {

    /** Numbers in a row that the loss compares. */
    final int outputSize;

    private final Runnable[][] tasks;
    private final Resources resources;

    TrainingProgram(Runnable[][] tasks, int outputSize, Resources resources) {
        this.tasks = tasks;
        this.outputSize = outputSize;
        this.resources = resources;
    }

    void run(int worker) {
        for (Runnable task : tasks[worker]) {
            task.run();
        }
    }

    @Override
    public void close() {
        resources.close();
    }
}
