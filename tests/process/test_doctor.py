"""What ``pyimgret doctor`` shows, and what it says to mend."""

from __future__ import annotations

import json
from pathlib import Path

from running import start

DOCTOR = """
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


def test_a_machine_in_order_is_shown_without_problems() -> None:
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
    assert lines["threads"].startswith("1 on ")
    assert "of at most 512 MiB" in lines["Java heap"]
    assert lines["off-heap memory"].startswith("at most 1024 MiB")


def test_a_machine_without_a_jdk_is_told_how_to_install_one(tmp_path: Path) -> None:
    homes = dict.fromkeys(("PYIMGRET_JAVA_HOME", "JDK_HOME", "JRE_HOME"))
    status, text = doctor("--json", JAVA_HOME=str(tmp_path), PATH=str(tmp_path), **homes)
    facts = json.loads(text)
    assert status == 1
    assert facts["java"] is None
    assert facts["self_check"] == "failed"
    assert any("apt-get install openjdk-17-jdk" in problem for problem in facts["problems"])


def test_more_threads_than_cores_are_a_problem_that_has_a_remedy() -> None:
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
