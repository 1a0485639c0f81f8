"""Keys: the names of images as text, for any bytes that the file system allows.

A key is valid UTF-8. Bytes of a file name that are not UTF-8, and the percent sign,
are percent-encoded, so that the conversion is reversible.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

_ENCODED = re.compile(rb"%([0-9A-F]{2})")


def key_from_path(path: bytes | str) -> str:
    r"""Return the key of a path, with ``/`` between its parts.

    Examples
    --------
    >>> key_from_path(b"caf\xc3\xa9/100%.png")
    'café/100%25.png'
    >>> key_from_path(b"caf\xe9.png")
    'caf%E9.png'
    """
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    text = raw.replace(b"%", b"%25").decode("utf-8", "surrogateescape")
    if text.isascii():
        return text
    return "".join(map(_encode_stray_byte, text))


def path_from_key(key: str) -> bytes:
    r"""Return the bytes of the path whose key this is.

    Examples
    --------
    >>> path_from_key("caf%E9.png")
    b'caf\xe9.png'
    """
    return _ENCODED.sub(lambda match: bytes.fromhex(match[1].decode()), key.encode())


def new_ids(count: int) -> Iterator[str]:
    """Yield fresh opaque ids: 32 hexadecimal digits, roughly ascending in time.

    The leading time stamp makes inserts into the database index nearly sequential; the 80
    random bits make ids unguessable and unique across writers.
    """
    import os
    import time

    stamp = f"{time.time_ns() // 1_000_000:012x}"
    randoms = os.urandom(10 * count).hex()
    for start in range(0, 20 * count, 20):
        yield stamp + randoms[start : start + 20]


def new_uuid() -> str:
    """Return the identity of a new index."""
    return uuid.uuid4().hex


def _encode_stray_byte(character: str) -> str:
    """Percent-encode an undecodable byte that ``surrogateescape`` has escaped."""
    code = ord(character)
    return f"%{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else character
