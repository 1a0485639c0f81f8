"""Write models of every kind, and what they make of the golden pictures.

``python -m tests.golden.make_models [KIND ...]``; the zips and models.json are kept in the
repository, because no two machines train to the same bits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyimgret import (
    PCA,
    SVD,
    Autoencoder,
    ConvAutoencoder,
    ConvNet,
    DeepAutoencoder,
    DenoisingAutoencoder,
    Encoder,
    Network,
    Preprocessor,
    RowNet,
)
from pyimgret.jvm.arrays import InputShape
from pyimgret.layers import (
    LSTM,
    BatchNormalization,
    Convolution2D,
    Dense,
    GlobalPooling,
    Output,
    Pooling2D,
)
from pyimgret.models import Model
from pyimgret.pretrained import PretrainedNetwork
from pyimgret.pretrained import inverted_residuals as blocks
from pyimgret.pretrained.architecture import Row

FOLDER = Path(__file__).parent
GREY = Preprocessor("L", 16, 12, filter="bicubic")
COLOUR = Preprocessor("RGB", 16, 20, "crop", 24, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))


def pictures() -> list[Path]:
    """Return the golden pictures, in the order of their names."""
    return sorted((FOLDER / "pictures").iterdir())


def pca() -> Model:
    """Principal components of colour pictures."""
    return PCA(6, preprocessing=COLOUR).fit(pictures())


def svd() -> Model:
    """A singular value decomposition, without a mean."""
    return SVD(6, preprocessing=GREY).fit(pictures())


def autoencoder() -> Model:
    """A dense autoencoder."""
    model = Autoencoder((24,), 6, epochs=3, preprocessing=COLOUR, random_state=0)
    return model.fit(pictures())


def denoising() -> Model:
    """A denoising autoencoder with another activation."""
    model = DenoisingAutoencoder(
        (24,), 6, "tanh", epochs=3, preprocessing=GREY, random_state=0, rotation=0.0
    )
    return model.fit(pictures())


def deep() -> Model:
    """A deep autoencoder, pretrained by restricted Boltzmann machines."""
    model = DeepAutoencoder((24, 12), 6, rbm_epochs=1, epochs=2, preprocessing=GREY, random_state=0)
    return model.fit(pictures())


def convolutional() -> Model:
    """A convolutional network that pools to its code."""
    layers = [
        Convolution2D(6, 3, activation="relu"),
        BatchNormalization(),
        Pooling2D(),
        Convolution2D(8, 3, activation="relu"),
        GlobalPooling(),
        Output(3, activation="softmax", loss="categorical_cross_entropy"),
    ]
    model = Network(layers, input="convolutional", epochs=2, preprocessing=COLOUR, random_state=0)
    return model.fit(pictures(), np.arange(len(pictures())) % 3)


def recurrent() -> Model:
    """A recurrent network that reads a picture line by line."""
    layers = [
        LSTM(8),
        Dense(6, activation="tanh"),
        Output(3, activation="softmax", loss="categorical_cross_entropy"),
    ]
    model = Network(layers, input="recurrent", epochs=2, preprocessing=COLOUR, random_state=0)
    return model.fit(pictures(), np.arange(len(pictures())) % 3)


def conv_net() -> Model:
    """A convolutional classifier that trains on mirrored pictures, and encodes without."""
    model = ConvNet(
        (4, 6),
        dense_size=12,
        code_size=6,
        kernel_size=3,
        flip=True,
        epochs=2,
        preprocessing=COLOUR,
        random_state=0,
        verbose=False,
    )
    return model.fit(pictures(), np.arange(len(pictures())) % 3)


def conv_autoencoder() -> Model:
    """An autoencoder whose code is a map."""
    model = ConvAutoencoder(
        (4, 6), code_channels=2, epochs=2, preprocessing=COLOUR, random_state=0, verbose=False
    )
    return model.fit(pictures())


def row_net() -> Model:
    """A recurrent classifier."""
    model = RowNet(8, code_size=6, epochs=2, preprocessing=GREY, random_state=0, verbose=False)
    return model.fit(pictures(), np.arange(len(pictures())) % 3)


def inverted_residuals() -> Model:
    """The blocks of MobileNetV2, few and narrow, and with drawn weights."""
    return _mobilenet("avg")


def inverted_residuals_whitened() -> Model:
    """The same with all that may follow: generalised mean, whitening, mirror image."""
    return _mobilenet("gem", flip=True, whitened=5)


def _mobilenet(pooling: str, *, flip: bool = False, whitened: int = 0) -> PretrainedNetwork:
    rows = blocks.inverted_residuals([(2, 3, 8, 1, 1), (2, 3, 12, 1, 2)], stem=8, features=16)
    head = Row(Dense(7, name="logits"), ("pooled",))
    table = replace(blocks.MOBILENET_V2, rows=rows, head=head, preprocessing=COLOUR)
    shape = InputShape("convolutional", COLOUR.height, COLOUR.width, 3)
    model = PretrainedNetwork(pooling=pooling, flip=flip)
    model._build(table, {}, shape, whitened=whitened)
    return model


KINDS: dict[str, Callable[[], Model]] = {
    "pca": pca,
    "svd": svd,
    "autoencoder": autoencoder,
    "denoising": denoising,
    "deep": deep,
    "convolutional": convolutional,
    "recurrent": recurrent,
    "conv_net": conv_net,
    "conv_autoencoder": conv_autoencoder,
    "row_net": row_net,
    "inverted_residuals": inverted_residuals,
    "inverted_residuals_whitened": inverted_residuals_whitened,
}


def answers(encoder: Encoder) -> dict[str, object]:
    """Return the embeddings of all pictures and the five nearest of each, itself left out."""
    embeddings = encoder.encode(pictures())
    scores = embeddings @ embeddings.T
    np.fill_diagonal(scores, -2.0)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    names = [path.name for path in pictures()]
    return {
        name: {
            "embedding": [float(f"{value:.8g}") for value in embeddings[row]],
            "nearest": [[names[n], float(f"{scores[row, n]:.8g}")] for n in nearest[row]],
        }
        for row, name in enumerate(names)
    }


def main(kinds: list[str]) -> None:
    """Write the zips and models.json, of some kinds or of all."""
    (FOLDER / "models").mkdir(exist_ok=True)
    file = FOLDER / "models.json"
    document = json.loads(file.read_text()) if file.exists() else {}
    for name in kinds or KINDS:
        path = FOLDER / "models" / f"{name}.zip"
        KINDS[name]().save(path)
        document[name] = answers(Encoder.load(path))
    file.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
