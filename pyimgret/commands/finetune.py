"""``pyimgret train --pretrained``: an ImageNet network that learns classes of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyimgret.commands.sources import open_folder


def fine_tune(
    name: str, weights: Path | None, images: Path, *, seed: int | None, epochs: int | None,
    code_size: int, freeze: str | None, strict: bool,
) -> tuple[Any, dict[str, Any], list[Any]]:  # fmt: skip
    """Return the model, what there is to say of it, and the files that were left out.

    The folders below ``images`` are the classes.
    """
    import numpy as np

    from pyimgret import pretrained
    from pyimgret._jvm.jars import cache_folder
    from pyimgret.finetuning import FineTunedNetwork, cached_features

    settings: dict[str, Any] = {"epochs": epochs, "freeze": freeze}
    model = FineTunedNetwork(
        name, code_size=code_size, random_state=seed,
        **{key: value for key, value in settings.items() if value is not None},
    )  # fmt: skip
    layer = model.frozen_layer
    network = getattr(pretrained, name)(weights)
    folder = open_folder(images, strict=strict)
    readable = [file for file, _ in folder.read(network.preprocessor.pixels) if file.label]
    if len({file.label for file in readable}) < 2:
        raise ValueError(f"{images}: pictures in at least two class folders are needed.")
    y = np.array([file.label for file in readable])
    features = cached_features(
        network, [file.path for file in readable], cache_folder() / "features", layer=layer
    )
    model.fit(network, features, y)
    history = model.history_["loss"]
    summary = {
        "model": type(model).__name__, "images": len(y), "classes": len(model.classes_),
        "embedding_size": model.embedding_size, "freeze": model.freeze, "epochs": len(history),
        "loss": model.history_.get("tuning_loss", history)[-1],
    }  # fmt: skip
    return model, summary, list(folder.broken)
