"""API keys: stored as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from flask import Request

from pyimgret.exceptions import InvalidArgumentError
from pyimgret_server.problems import ProblemError

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) sha256:([0-9a-f]{64})")
_SCHEME = "Bearer "


def make_key(path: Path, name: str) -> str:
    """Create a key, append its hash to a file that only the user can read, and return the key.

    The key has 256 random bits and cannot be guessed, so a plain SHA-256 is sufficient.

    Raises
    ------
    ValueError
        If the name has a key already, or is invalid.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name} sha256:{_digest(key)}"
    if not _LINE.fullmatch(line):
        raise InvalidArgumentError(f"The name {name!r} may only contain letters, digits and . _ -")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if name in read_keys(path, text).values():
        raise InvalidArgumentError(
            f"{path} already has a key with the name {name!r}. Choose another name, or revoke the "
            f"key: pyimgret serve --api-key-file {path} --revoke-api-key {name}"
        )
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(("\n" if text and not text.endswith("\n") else "") + line + "\n")
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove every key of a name from a file; a running service notices the change.

    Raises
    ------
    ValueError
        When there is none.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.split(maxsplit=1)[:1] != [name]]
    if len(kept) == len(lines):
        names = ", ".join(sorted(set(read_keys(path).values()))) or "none"
        raise InvalidArgumentError(f"{path} has no key with the name {name!r}; it has: {names}.")
    # NB: mkstemp also creates a private file.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(kept)
    Path(temporary).replace(path)


def read_keys(path: Path, text: str | None = None) -> dict[str, str]:
    """Return the keys of a file: hash -> name.

    Raises
    ------
    ValueError
        If a line is neither a comment nor a key.
    """
    keys: dict[str, str] = {}
    lines = (path.read_text(encoding="utf-8") if text is None else text).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise InvalidArgumentError(
                f"{path}, line {number}: expected 'name sha256:<64 hex digits>'."
            )
        keys[match[2]] = match[1]
    return keys


class KeyFile:
    """The keys of a file, reloaded when it changes.

    Raises
    ------
    ValueError
        If it contains no key initially.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[object, dict[str, str]] | None = None
        if not self.current():
            raise InvalidArgumentError(
                f"{path} contains no key; create one with --new-api-key NAME."
            )

    def current(self) -> dict[str, str]:
        """Return the currently valid keys: hash -> name."""
        status = self.path.stat()
        state = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._read is None or self._read[0] != state:
            self._read = (state, read_keys(self.path))
        return self._read[1]


def authorise(request: Request, keys: dict[str, str]) -> str:
    """Return the name of the key of a request.

    Raises
    ------
    ProblemError
        401 without a key, or with an unknown one.
    """
    given = request.headers.get("Authorization", "")
    key = given.removeprefix(_SCHEME) if given.startswith(_SCHEME) else ""
    digest = _digest(key)
    # NB: compare with all keys, so that the time does not depend on the result.
    found = [name for known, name in keys.items() if hmac.compare_digest(digest, known)]
    if not key or not found:
        detail = "Send 'Authorization: Bearer KEY' with a key of this service."
        headers = {"WWW-Authenticate": 'Bearer realm="pyimgret"'}
        raise ProblemError(401, "unauthorised", detail, headers)
    return found[0]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
