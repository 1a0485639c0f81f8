"""The table of methods is what Java has."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from pyimgret.jvm.facade import FACADES
from pyimgret.jvm.jars import jar_folder


def java_methods(name: str) -> list[tuple[str, str]]:
    javap = shutil.which("javap")
    assert javap, "javap belongs to every JDK"
    command = [javap, "-s", "-public", "-cp", f"{jar_folder()}/*", name.replace("/", ".")]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    pattern = r"public static \S+ (\w+)\(.*?\).*?;\n\s+descriptor: (\S+)"
    return re.findall(pattern, text)


@pytest.mark.parametrize("name", FACADES)
def test_every_method_has_signature_that_java_declares(name: str) -> None:
    assert dict(java_methods(name)) == FACADES[name]


@pytest.mark.parametrize("name", FACADES)
def test_no_method_is_overloaded(name: str) -> None:
    names = [method for method, _ in java_methods(name)]
    assert len(names) == len(set(names)) > 0


def test_name_means_one_method() -> None:
    names = [method for methods in FACADES.values() for method in methods]
    assert len(names) == len(set(names))
