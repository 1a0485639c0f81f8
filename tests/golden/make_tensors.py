"""Write tensors.json: for every picture and preprocessing the SHA-256 of the tensor.

``python -m tests.golden.make_tensors``; only for a change of the definition itself.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pyimgret.preprocessing import Preprocessor
from pyimgret.pretrained import ARCHITECTURES

FOLDER = Path(__file__).parent
FILE = FOLDER / "tensors.json"
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

PREPROCESSORS = {
    "grey": Preprocessor("L", 28, 28),
    "colour": Preprocessor("RGB", 32, 24, filter="lanczos", mean=(0.5, 0.4, 0.3), std=(0.5,)),
    "crop": Preprocessor("RGB", 56, 48, "crop", 64, "bicubic", **IMAGENET),
    "hamming": Preprocessor("L", 17, 31, filter="hamming", mean=(0.1,), std=(0.7,)),
    "nearest": Preprocessor("RGB", 17, 31, filter="nearest"),
    "box": Preprocessor("L", 150, 145, filter="box"),
    **{
        name: ARCHITECTURES[name].preprocessing
        for name in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "googlenet")
    },
}


def checksum(preprocessor: Preprocessor, picture: Path) -> str:
    """Return the SHA-256 of a tensor's little-endian bytes in C order."""
    return hashlib.sha256(preprocessor(picture).astype("<f4").tobytes()).hexdigest()


def main() -> None:
    """Write the file."""
    pictures = sorted((FOLDER / "pictures").iterdir())
    document = {
        "preprocessing": {name: p.to_dict() for name, p in PREPROCESSORS.items()},
        "tensors": {
            picture.name: {name: checksum(p, picture) for name, p in PREPROCESSORS.items()}
            for picture in pictures
        },
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
