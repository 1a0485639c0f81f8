package org.pyimgret.encoder;

import org.pyimgret.nn.engine.Inference;
import org.pyimgret.nn.engine.Solo;

import java.util.List;

/** The way of networks that our own engine knows: stacks of dense layers and convolutions. */
final class EnginePass implements Pass {

    private final Solo solo;

    EnginePass(Inference engine) {
        solo = engine.solo();
    }

    @Override
    public float[] codes(List<float[]> tensors) {
        Inference.Source source =
                (first, count, out) -> {
                    int to = 0;
                    for (float[] tensor : tensors.subList((int) first, (int) first + count)) {
                        System.arraycopy(tensor, 0, out, to, tensor.length);
                        to += tensor.length;
                    }
                };
        return solo.run(source, tensors.size());
    }

    @Override
    public void close() {
        solo.close();
    }
}
