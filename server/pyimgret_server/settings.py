"""Settings of the service; every limit has a safe default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyimgret.exceptions import InvalidArgumentError

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a service.

    Attributes
    ----------
    writable : bool
        Whether items may be added and deleted; needs `api_keys`.
    api_keys : path or None
        File with the hashes of the API keys; see `pyimgret_server.keys`.
    max_upload : int
        Maximum size of a request body in bytes.
    max_pixels : int
        Maximum number of pixels of an image, checked before decoding.
    max_k : int
        Maximum number of matches per search.
    max_images : int
        Maximum number of images per embed request.
    rate : float or None
        Requests per second and client address below ``/v1``; twice as many in a burst.
    batch_size : int
        Maximum number of images encoded together.
    batch_wait : float
        Maximum time that an image waits for others being decoded, in seconds.
    queue_size : int
        Maximum number of images waiting to be encoded; further ones get 503.
    timeout : float
        Maximum waiting time of a request, in seconds.
    threads : int
        Number of requests processed at a time.
    behind_proxy : bool
        Trust the ``X-Forwarded-*`` headers of one reverse proxy.
    """

    writable: bool = False
    api_keys: Path | None = None
    max_upload: int = 16 * MEGABYTE
    max_pixels: int = 50_000_000
    max_k: int = 100
    max_images: int = 64
    rate: float | None = None
    batch_size: int = 32
    batch_wait: float = 0.004
    queue_size: int = 256
    timeout: float = 20.0
    threads: int = 24
    behind_proxy: bool = False

    def __post_init__(self) -> None:
        if self.writable and self.api_keys is None:
            raise InvalidArgumentError(
                "A writable service needs a file of API keys; create one with "
                "'pyimgret serve --api-key-file FILE --new-api-key NAME'."
            )
        for name in ("max_upload", "max_pixels", "max_k", "max_images", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.queue_size < self.batch_size or self.threads < 1:
            raise InvalidArgumentError(
                "queue_size must be at least batch_size, and threads at least 1."
            )
        if self.rate is not None and self.rate <= 0:
            raise InvalidArgumentError(f"rate={self.rate} must be above 0 requests a second.")
