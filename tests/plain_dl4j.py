"""A saved model in a JVM that has Deeplearning4j, and no class of ours, on its class path."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

from pyimgret.jvm.jars import jar_folder

PROGRAM = Path(__file__).parent.parent / "java/core/src/test/java/plain/PlainDl4j.java"


def plain_codes(model: Path, layer: int | str, shape: str, X: np.ndarray) -> np.ndarray:
    """Return what a layer gives for tensors, (n, size); files go beside the model.

    Parameters
    ----------
    model : Path
        The zip.
    layer : int or str
        The number of a layer of a network, or the name of one of a graph.
    shape : str
        Layout, height, width and channels, such as "DENSE,28,28,1".
    X : ndarray
        Tensors of (height, width, channels).
    """
    values, codes = model.with_suffix(".in"), model.with_suffix(".out")
    X.astype("<f4").tofile(values)
    jars = [str(jar) for jar in jar_folder().glob("*.jar") if "pyimgret" not in jar.name]
    java = shutil.which("java")
    assert java
    command = [
        java,
        "-cp",
        os.pathsep.join(jars),
        str(PROGRAM),
        str(model),
        str(layer),
        shape,
        str(values),
        str(codes),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return np.fromfile(codes, dtype="<f4").reshape(len(X), -1)
