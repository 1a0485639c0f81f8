package org.pyimgret.engine;

/** How a node's operation runs when it is to learn, and the way back through it. */
abstract class TrainingOperation {

    final Node node;
    final TrainingCompiler compiler;
    final TrainingBuilder program;

    TrainingOperation(Node node, TrainingCompiler compiler) {
        this.node = node;
        this.compiler = compiler;
        this.program = compiler.program;
    }

    /** Adds the steps that compute the result; all inputs are there. */
    abstract void forward();

    /**
     * Adds the steps that compute the gradients of the inputs and of the parameters.
     *
     * @param gradient of the result
     */
    abstract void backward(Tensor gradient);

    Tensor input() {
        return compiler.result(node.inputs.get(0));
    }

    Tensor output() {
        return compiler.result(node);
    }

    /** The tensor that the gradient of the input goes to; the gradient of the result itself where that is over. */
    Tensor inputGradient(Tensor gradient) {
        return gradient.aliased ? program.tensor(node.inputs.get(0).shape) : gradient;
    }

    boolean wantsInputGradient() {
        return compiler.learns(node.inputs.get(0));
    }
}
