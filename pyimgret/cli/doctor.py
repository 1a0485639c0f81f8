"""``pyimgret doctor``: check the installation."""

from __future__ import annotations

from typing import Any

import click

from pyimgret.cli.common import Result, json_option


@click.command()
@json_option
def doctor() -> Result:
    """Show JDK, jars, backend, BLAS, oneDNN, threads, memory and the self-check.

    Exits with status 1 if something is wrong, and tells you how to fix it.
    """
    from pyimgret.jvm import report

    facts = report()
    return Result(facts, _text(facts), failed=facts["self_check"] != "passed")


_SHOWN = ("pyimgret-", "deeplearning4j-nn", "nd4j-native-1", "nd4j-api", "openblas")
"""What the names of the jars that are listed begin with."""


def _text(facts: dict[str, Any]) -> str:
    jvm = facts.get("jvm", {})
    jars = facts.get("jars", {"folder": "none", "files": []})
    rows = [
        ("Java", jvm.get("java") or facts["java"] or "not found"),
        ("Java home", jvm.get("java_home", "unknown")),
        ("Maven", facts["maven"] or "not found (needed once, to download the jars)"),
        ("jars", f"{len(jars['files'])} in {jars['folder']}"),
        *((" ", name) for name in jars["files"] if name.startswith(_SHOWN)),
        ("platform", facts.get("platform", "unknown")),
        ("Deeplearning4j", jvm.get("deeplearning4j", "not started")),
        ("backend", jvm.get("backend", "not started")),
        ("BLAS", f"{jvm.get('blas', 'not started')} ({jvm.get('blas_kernel', '?')} kernels)"),
        ("engine", jvm.get("engine", "not started")),
        ("oneDNN", {True: "on", False: "off", None: "not started"}[jvm.get("onednn")]),
        ("threads", f"{jvm.get('threads', '?')} on {facts['cores']} cores"),
        ("Java heap", _memory(jvm, "{heap_used} of at most {heap_max} MiB in use")),
        ("off-heap memory", _memory(jvm, _OFF_HEAP)),
        ("options", " ".join(facts["settings"]["jvm_options"])),
        ("self-check", facts["self_check"]),
    ]
    lines = [f"{name:<16}{value}" for name, value in rows]
    problems = facts["problems"] or ["none"]
    return "\n".join([*lines, "", "Problems:", *(f"- {problem}" for problem in problems)])


_OFF_HEAP = "at most {off_heap_max} MiB for arrays; this process uses {resident} MiB in total"


def _memory(jvm: dict[str, Any], text: str) -> str:
    """Fill in the JVM's memory in MiB."""
    sizes = {n.removesuffix("_bytes"): jvm[n] >> 20 for n in jvm if n.endswith("_bytes")}
    return text.format(**sizes) if sizes else "not started"
