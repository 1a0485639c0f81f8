"""A saved model is a Deeplearning4j zip: a JVM without any class of ours restores it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pyimgret import PCA, SVD, Autoencoder, DeepAutoencoder, DenoisingAutoencoder, Encoder
from pyimgret._jvm.jars import jar_folder
from pyimgret.encoder import normalize

RESTORE = """
import java.nio.*;
import java.nio.file.*;
import org.deeplearning4j.util.ModelSerializer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class Restore {
    public static void main(String[] args) throws Exception {
        MultiLayerNetwork network = ModelSerializer.restoreMultiLayerNetwork(args[0]);
        FloatBuffer in = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[1])))
                .order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        float[] values = new float[in.remaining()];
        in.get(values);
        int rows = Integer.parseInt(args[3]);
        INDArray x = Nd4j.create(values, new int[] {rows, values.length / rows});
        int layer = Integer.parseInt(args[4]);
        INDArray y = network.feedForwardToLayer(layer, x, false).get(layer + 1);
        float[] codes = y.dup('c').data().asFloat();
        ByteBuffer out = ByteBuffer.allocate(codes.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        out.asFloatBuffer().put(codes);
        Files.write(Path.of(args[2]), out.array());
    }
}
"""


def restored_codes(model, X: np.ndarray, folder: Path) -> np.ndarray:
    """Return the codes that Deeplearning4j alone gives."""
    model.save(folder / "model.zip")
    X.astype("<f4").tofile(folder / "in")
    (folder / "Restore.java").write_text(RESTORE)
    jars = [jar for jar in jar_folder().glob("*.jar") if "pyimgret" not in jar.name]
    java = shutil.which("java")
    assert java
    command = [
        java, "-cp", os.pathsep.join(map(str, jars)), str(folder / "Restore.java"),
        str(folder / "model.zip"), str(folder / "in"), str(folder / "out"), str(len(X)),
        str(model.code_layer_),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "out", dtype="<f4").reshape(len(X), -1)


@pytest.mark.parametrize(
    "model",
    [
        PCA(10, random_state=0),
        SVD(10, random_state=0),
        Autoencoder((64,), 10, epochs=2, random_state=0, verbose=False),
        DenoisingAutoencoder((64, 32), 10, epochs=2, random_state=0, verbose=False),
        DeepAutoencoder((64,), 10, rbm_epochs=1, epochs=2, random_state=0, verbose=False),
    ],
    ids=lambda model: type(model).__name__,
)
def test_plain_deeplearning4j_gives_the_same_codes(model, digits, tmp_path: Path) -> None:
    model.fit(digits)
    X = digits[:50].reshape(50, -1).astype(np.float32) / np.float32(255)
    codes = restored_codes(model, X, tmp_path)
    assert np.abs(normalize(codes) - Encoder(model).encode(digits[:50])).max() < 1e-5
