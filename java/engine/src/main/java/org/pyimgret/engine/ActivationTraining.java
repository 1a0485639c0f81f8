package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.*;

import java.util.List;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** An activation function in training; where it can be, its derivative is taken from its result. */
final class ActivationTraining extends TrainingOperation {

    ActivationTraining(Node node, TrainingCompiler compiler) {
        super(node, compiler);
    }

    @Override
    void forward() {
        program.each(worker -> program.lower(worker, node, List.of(input().view(worker)), output().view(worker)));
    }

    @Override
    void backward(Tensor gradient) {
        Operation.Activation activation = (Operation.Activation) node.operation;
        Tensor target = inputGradient(gradient);
        differentiate(this, activation, gradient, target);
        compiler.addGradient(node.inputs.get(0), target);
    }

    /** The gradient of what an operation computed before the activation that is fused into it. */
    static Tensor backwardFused(TrainingOperation operation, Tensor gradient) {
        if (operation.node.fused.isEmpty()) {
            return gradient;
        }
        Tensor target = gradient.aliased ? operation.program.tensor(gradient.shape) : gradient;
        differentiate(operation, (Operation.Activation) operation.node.fused.get(0), gradient, target);
        return target;
    }

    private static void differentiate(
            TrainingOperation operation, Operation.Activation activation, Tensor gradient, Tensor target) {
        TrainingBuilder program = operation.program;
        Operation.Activation derived = activation.derivedFromResult();
        Operation.Activation function = derived == null ? activation : derived;
        Tensor data = derived == null ? operation.input() : operation.output();
        program.use(data);
        program.each(operation.node.name, (worker, builder) -> {
            dnnl_memory_desc all = gradient.view(worker).describe(program.resources);
            dnnl_primitive_desc forward = new dnnl_primitive_desc();
            builder.hint(
                    forward,
                    dnnl_eltwise_forward_primitive_desc_create(
                            forward,
                            OneDnn.engine(),
                            dnnl_forward_training,
                            function.algorithm,
                            all,
                            all,
                            function.alpha,
                            function.beta,
                            null));
            builder.described(dnnl_eltwise_backward_primitive_desc_create(
                    builder.description,
                    OneDnn.engine(),
                    function.algorithm,
                    all,
                    all,
                    all,
                    function.alpha,
                    function.beta,
                    forward,
                    builder.attributes()));
            builder.argument(data.view(worker).argument(derived == null ? DNNL_ARG_SRC : DNNL_ARG_DST, all));
            builder.argument(gradient.view(worker).argument(DNNL_ARG_DIFF_DST, all));
            builder.argument(target.view(worker).argument(DNNL_ARG_DIFF_SRC, all));
        });
    }
}
