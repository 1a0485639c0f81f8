"""The state of an application: its engine, and reloading."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from flask import current_app

from pyimgret.index import Index
from pyimgret_server.engine import Engine, open_index
from pyimgret_server.explaining import Explainer, default_explainer
from pyimgret_server.keys import KeyFile
from pyimgret_server.limits import RateLimiter
from pyimgret_server.logs import redacted_traceback
from pyimgret_server.metrics import Metrics
from pyimgret_server.settings import Settings

_log = logging.getLogger("pyimgret_server")


class Service:
    """The state of an application.

    Parameters
    ----------
    index : Index or path
        A path is opened and closed here; an `Index` stays open.
    settings : Settings
    explainer : Explainer, optional
        Computes heat maps; by default `pyimgret.explain`.
    """

    def __init__(
        self, index: Index | Path, settings: Settings, explainer: Explainer | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.explainer = explainer or default_explainer()
        self.keys = KeyFile(settings.api_keys) if settings.api_keys else None
        self.limiter = RateLimiter(settings.rate) if settings.rate else None
        self.stopping = False
        self._given = index if isinstance(index, Index) else None
        self._location = index if isinstance(index, Path) else index.directory
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._users: dict[Engine, int] = {}
        self._engine = self._create_engine(open_index(index) if isinstance(index, Path) else index)
        self.metrics.items.set_function(lambda: len(self._engine.index))

    @property
    def ready(self) -> bool:
        """Whether requests are accepted."""
        return not self.stopping

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Yield the engine, which is not closed during the block."""
        with self._change:
            engine = self._engine
            self._users[engine] = self._users.get(engine, 0) + 1
        try:
            yield engine
        finally:
            with self._change:
                self._users[engine] -= 1
                self._change.notify_all()

    def reload(self) -> bool:
        """Reopen the index and replace the old one.

        If the index or its model cannot be loaded, the old one is kept. Returns whether it changed.
        """
        with self._lock:
            try:
                new = self._create_engine(open_index(self._location))
            except Exception as error:
                _log.error(
                    "the index %s cannot be loaded; the old one is kept: %s",
                    self._location, redacted_traceback(error),
                )  # fmt: skip
                return False
            with self._change:
                old, self._engine = self._engine, new
                self._change.wait_for(lambda: not self._users.get(old))
                self._users.pop(old, None)
            self._close(old)
            _log.info("the index was reloaded: %d items", len(new.index))
            return True

    def close(self) -> None:
        """Process the waiting requests and close the index."""
        self.stopping = True
        self._close(self._engine)

    def _close(self, engine: Engine) -> None:
        engine.close()
        if engine.index is not self._given:
            engine.index.close()

    def _create_engine(self, index: Index) -> Engine:
        engine = Engine(index, self.settings, self.metrics)
        try:
            engine.warm_up()
        except BaseException:
            self._close(engine)
            raise
        return engine


def current_service() -> Service:
    """Return the service of the current application."""
    return cast(Service, current_app.extensions["pyimgret"])
