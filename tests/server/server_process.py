"""``pyimgret serve`` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

_FAKE = """
import sys
sys.path.insert(0, {folder!r})
from server_fakes import FakeEncoder
from pyimgret.index.storage import lifecycle
lifecycle.load_encoder = lambda directory, expected: FakeEncoder()
"""
_MAIN = "import sys\nfrom pyimgret.cli import main\nmain(sys.argv[1:])\n"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Process:
    """A running service; killed when the block ends, if it has not ended by itself.

    Parameters
    ----------
    arguments : str or path
        Of ``pyimgret serve``.
    fake : bool
        Whether the index's model is the tests' own, which needs no JVM.
    """

    def __init__(self, *arguments: object, fake: bool = False) -> None:
        self.place = ("127.0.0.1", free_port())
        self.address = f"http://127.0.0.1:{self.place[1]}"
        program = (_FAKE.format(folder=str(Path(__file__).parent)) if fake else "") + _MAIN
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in __exit__)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                program,
                "serve",
                "--port",
                str(self.place[1]),
                *map(str, arguments),
            ],
            stderr=self._log,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )

    def log(self) -> str:
        """Return what the service has written."""
        self._log.seek(0)
        return self._log.read()

    def __enter__(self) -> Self:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.address}/v2/health/ready", timeout=5).close()
                return self
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)
        raise TimeoutError(self.log())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()
