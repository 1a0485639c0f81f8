"""The start-up configuration of the JVM, fixed before the first native library is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pyimgret.exceptions import JvmStartError

#: Classes that Java deserialization may read: those of ND4J, Deeplearning4j and the JDK.
SERIAL_FILTER = "maxdepth=50;org.nd4j.**;org.deeplearning4j.**;java.base/*;!*"

#: What can run networks.
ENGINES = ("onednn", "dl4j")


@dataclass(frozen=True)
class JvmSettings:
    """Options of the JVM.

    Attributes
    ----------
    heap : int or None
        Largest Java heap in MiB (``-Xmx``); by default a quarter of the machine's memory, at
        most 4096.
    off_heap : int or None
        Maximum memory for arrays outside the heap in MiB; by default half of the
        machine's memory.
    threads : int or None
        Threads for computations; by default the cores that this process may use.
    onednn : bool
        Whether Deeplearning4j's own convolutions run on oneDNN.
    engine : {"onednn", "dl4j"}
        What runs and trains networks: pyimgret's engine where it can, or Deeplearning4j always.
    java_home : str or None
        The JDK; by default ``JAVA_HOME``, else that of ``java`` on the path.
    options : tuple of str
        Further JVM options.
    """

    heap: int | None = None
    off_heap: int | None = None
    threads: int | None = None
    onednn: bool = True
    engine: str = "onednn"
    java_home: str | None = None
    options: tuple[str, ...] = ()

    def jvm_options(self) -> list[str]:
        """Return the options that the JVM is started with."""
        heap = self.heap or max(256, min(4096, _machine_memory() // 4))
        return [
            f"-Xmx{heap}m",
            # NB: leave Ctrl-C to Python.
            "-Xrs",
            f"-Dorg.bytedeco.javacpp.maxbytes={self.off_heap_limit()}m",
            # NB: by default JavaCPP counts the whole Python process against 4 x Xmx.
            "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
            f"-Dorg.eclipse.deeplearning4j.helpers.disable={str(not self.onednn).lower()}",
            f"-Dorg.pyimgret.engine={self.engine}",
            f"-Djdk.serialFilter={SERIAL_FILTER}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-Djava.awt.headless=true",
            "-Dfile.encoding=UTF-8",
            *self.options,
        ]

    def off_heap_limit(self) -> int:
        """Return the limit of arrays in MiB."""
        return self.off_heap or max(512, _machine_memory() // 2)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that native libraries read when loaded."""
        threads = str(self.threads or available_cores())
        # NB: idle OpenMP threads would otherwise spin on the cores that OpenBLAS needs.
        return {
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
        }


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine_memory() -> int:
    """Return the memory of the machine, or of the container, in MiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8192
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        text = limit.read_text().strip()
    except OSError:
        text = "max"
    return min(total, int(text) if text.isdigit() else total) >> 20


def _from_environment() -> JvmSettings:
    """Read the environment variables ``PYIMGRET_HEAP``, ``PYIMGRET_OFF_HEAP``, …."""
    values: dict[str, object] = {}
    for field in fields(JvmSettings):
        name = f"PYIMGRET_{'JVM_OPTIONS' if field.name == 'options' else field.name.upper()}"
        text = os.environ.get(name)
        if text:
            values[field.name] = _parse(name, field.name, text)
    return JvmSettings(**values)  # type: ignore[arg-type]


def _parse(variable: str, field: str, text: str) -> object:
    if field in {"heap", "off_heap", "threads"}:
        if not text.isdigit() or int(text) < 1:
            unit = "threads" if field == "threads" else "MiB"
            raise JvmStartError(f"{variable}={text!r} must be a whole number of {unit}, such as 2.")
        return int(text)
    if field == "onednn":
        if text.lower() not in {"0", "1", "true", "false"}:
            raise JvmStartError(f"{variable}={text!r} must be 0 or 1.")
        return text.lower() in {"1", "true"}
    if field == "engine":
        _check_engine(f"{variable}={text!r}", text)
    return tuple(text.split()) if field == "options" else text


def _check_engine(given: str, engine: str) -> None:
    if engine not in ENGINES:
        raise JvmStartError(f"{given} is not known; choose one of {', '.join(ENGINES)}.")


class _State:
    """The start-up configuration."""

    chosen: JvmSettings | None = None
    started: bool = False


def current_settings() -> JvmSettings:
    """Return the settings that the JVM was or will be started with."""
    return _State.chosen or _from_environment()


def mark_started() -> None:
    """Fix the settings; called when the JVM has started."""
    _State.chosen = current_settings()
    _State.started = True


def configure(
    *,
    heap: int | None = None,
    off_heap: int | None = None,
    threads: int | None = None,
    onednn: bool | None = None,
    engine: str | None = None,
    java_home: str | os.PathLike[str] | None = None,
    options: tuple[str, ...] | list[str] | None = None,
) -> JvmSettings:
    """Configure the JVM; call it before the first use of Java.

    Other settings keep the values of earlier calls, or of the environment variables
    ``PYIMGRET_HEAP``, ``PYIMGRET_OFF_HEAP``, ``PYIMGRET_THREADS``, ``PYIMGRET_ONEDNN``,
    ``PYIMGRET_ENGINE``, ``PYIMGRET_JAVA_HOME`` and ``PYIMGRET_JVM_OPTIONS``.

    Parameters
    ----------
    heap, off_heap, threads, onednn, engine, java_home, options : optional
        As the attributes of `JvmSettings`.

    Raises
    ------
    JvmStartError
        If the JVM is already running, or a value is invalid.
    """
    given = {
        "heap": heap,
        "off_heap": off_heap,
        "threads": threads,
        "onednn": onednn,
        "engine": engine,
        "java_home": java_home and os.fspath(java_home),
        "options": None if options is None else tuple(options),
    }
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    for name in {"heap", "off_heap", "threads"} & changes.keys():
        if changes[name] < 1:
            raise JvmStartError(f"{name}={changes[name]} must be at least 1.")
    if engine is not None:
        _check_engine(f"engine={engine!r}", engine)
    settings = replace(current_settings(), **changes)
    if _State.started and settings != _State.chosen:
        raise JvmStartError(
            f"The JVM has started, so {', '.join(changes)} cannot be changed in this process; call "
            "pyimgret.configure(...) before the first call that needs Java, or start a new process."
        )
    _State.chosen = settings
    return settings
