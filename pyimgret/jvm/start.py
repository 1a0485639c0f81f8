"""The start of the JVM, with the class path and the options that Deeplearning4j needs."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm.facade import FACADES
from pyimgret.jvm.jars import jar_folder
from pyimgret.jvm.java import java_home, java_version, try_options, version_options
from pyimgret.jvm.settings import JvmSettings, current_settings


def start_jvm() -> Any:
    """Start the JVM on the calling thread, run the self-check, return the facade."""
    settings = current_settings()
    home = java_home()
    folder = jar_folder()
    for name, value in settings.environment().items():
        os.environ[name] = value
    if home:
        os.environ["JAVA_HOME"] = home
    options = [*settings.jvm_options(), *version_options(java_version(home))]
    if settings != JvmSettings():
        try_options(home, options)
    # NB: pydl4j reads the class path at import, and writes to the home folder.
    os.environ["PYDL4J_CLASS_PATH"] = str(folder / "*")
    _import_pydl4j()
    config = importlib.import_module("jnius_config")
    if config.vm_running:
        raise JvmStartError(
            "Other code in this process has already started a JVM through jnius "
            f"({config.vm_started_at.strip().splitlines()[0] if config.vm_started_at else ''}), "
            "without the options that Deeplearning4j needs; call pyimgret first."
        )
    config.set_options(*options)
    config.set_classpath(str(folder / "*"))
    java = _facade(options)
    java.limitMemory(settings.off_heap_limit() << 20)
    from pyimgret.jvm.selfcheck import check

    check(java)
    return java


def _facade(options: list[str]) -> Any:
    try:
        return _Facades(importlib.import_module("jnius"))
    except Exception as error:
        raise JvmStartError(
            f"The JVM could not start: {error}.\nIt was started with: {' '.join(options)}\n"
            f"JAVA_HOME is {os.environ.get('JAVA_HOME', 'not set')}; a JDK of version 11 or newer "
            "is needed. Run `pyimgret doctor` for details."
        ) from error


class _Facades:
    """The methods of all facade classes, by name."""

    def __init__(self, jnius: Any) -> None:
        self._owners: dict[str, Any] = {}
        for name, signatures in FACADES.items():
            members = {n: jnius.JavaStaticMethod(s) for n, s in signatures.items()}
            members["__javaclass__"] = name
            owner = jnius.MetaJavaClass(name.rpartition("/")[2], (jnius.JavaClass,), members)
            self._owners |= dict.fromkeys(signatures, owner)

    def __getattr__(self, method: str) -> Any:
        # NB: look it up every time; saved bound methods of pyjnius alias each other.
        return getattr(self._owners[method], method)


def _import_pydl4j() -> None:
    """Import pydl4j, with a temporary home folder if the user's is not writable."""
    try:
        folder = Path.home() / ".deeplearning4j" / "pydl4j"
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable:
        importlib.import_module("pydl4j")
        return
    before = {name: value for name, value in os.environ.items() if name == "HOME"}
    with tempfile.TemporaryDirectory() as another:
        os.environ["HOME"] = another
        try:
            importlib.import_module("pydl4j")
        finally:
            del os.environ["HOME"]
            os.environ.update(before)
