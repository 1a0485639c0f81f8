"""API keys: made once, kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from flask import Request

from pyimgret_server.problems import ProblemError

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) sha256:([0-9a-f]{64})")
_SCHEME = "Bearer "


def make_key(path: Path, name: str) -> str:
    """Make a key, append its hash to a file that only the user can read, and return the key.

    The key holds 256 random bits, which nobody guesses; a plain SHA-256 is enough for it.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name} sha256:{_digest(key)}"
    if not _LINE.fullmatch(line):
        raise ValueError(f"The name {name!r} may hold letters, digits and . _ - only.")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(line + "\n")
    return key


def read_keys(path: Path) -> dict[str, str]:
    """Return the hashes of a file by the names of their keys.

    Raises
    ------
    ValueError
        When a line is neither a comment nor a key, or there is no key at all.
    """
    keys: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise ValueError(f"{path}, line {number}: expected 'name sha256:<64 hex digits>'.")
        keys[match[1]] = match[2]
    if not keys:
        raise ValueError(f"{path} holds no key; make one with --new-api-key NAME.")
    return keys


def authorise(request: Request, keys: dict[str, str]) -> str:
    """Return the name of the key that a request was sent with.

    Raises
    ------
    ProblemError
        401 without a key, or with one that is not known.
    """
    given = request.headers.get("Authorization", "")
    key = given.removeprefix(_SCHEME) if given.startswith(_SCHEME) else ""
    digest = _digest(key)
    # NB: all are compared, whatever the result, so that the time says nothing.
    found = [name for name, known in keys.items() if hmac.compare_digest(digest, known)]
    if not key or not found:
        raise ProblemError(
            401, "unauthorised", "Send 'Authorization: Bearer KEY' with a key of this service.",
            {"WWW-Authenticate": 'Bearer realm="pyimgret"'},
        )  # fmt: skip
    return found[0]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
