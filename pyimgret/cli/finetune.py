"""``pyimgret train --pretrained``: fine-tune an ImageNet network on your own classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from pyimgret.files.failures import ImageFailure
    from pyimgret.pretrained import FineTunedNetwork

from pyimgret.cli.sources import open_folder


def fine_tune(
    model: FineTunedNetwork, weights: Path | None, images: Path, *, strict: bool
) -> tuple[dict[str, Any], list[ImageFailure]]:
    """Train the model; return its summary, and the images that could not be read.

    The folders below ``images`` are the classes.
    """
    import numpy as np

    from pyimgret import pretrained
    from pyimgret.files.cache import cache_folder
    from pyimgret.pretrained import cached_features

    layer = model.frozen_layer
    network = getattr(pretrained, model.architecture)(weights)
    folder = open_folder(images, strict=strict)
    readable = [file for file, _ in folder.read(network.preprocessor.pixels) if file.label]
    if len({file.label for file in readable}) < 2:
        raise InvalidArgumentError(f"{images}: at least two class folders with images are needed.")
    y = np.array([file.label for file in readable])
    features = cached_features(
        network, [file.path for file in readable], cache_folder() / "features", layer=layer
    )
    model.fit(network, features, y)
    history = model.history_["loss"]
    summary = {
        "model": type(model).__name__,
        "images": len(y),
        "classes": len(model.classes_),
        "embedding_size": model.embedding_size,
        "freeze": model.freeze,
        "epochs": len(history),
        "loss": model.history_.get("tuning_loss", history)[-1],
    }
    return summary, list(folder.failed)
