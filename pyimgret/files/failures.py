"""The record of an image that could not be read."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True, slots=True)
class ImageFailure:
    """An image that could not be read, and why.

    Attributes
    ----------
    key : str
    reason : str
    """

    key: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the failure as a JSON-serializable dict."""
        return asdict(self)
