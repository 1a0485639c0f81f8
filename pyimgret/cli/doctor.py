"""``pyimgret doctor``: check the installation."""

from __future__ import annotations

from typing import Any

import click

from pyimgret.cli.common import json_option, print_json


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show JDK, jars, backend, BLAS, oneDNN, threads, memory and the self-check.

    Exits with status 1 if something is wrong, and tells you how to fix it.
    """
    from pyimgret.jvm import report

    facts = report()
    if as_json:
        print_json(facts)
    else:
        click.echo(_text(facts))
    if facts["self_check"] != "passed":
        raise SystemExit(1)


def _text(facts: dict[str, Any]) -> str:
    jvm = facts.get("jvm", {})
    jars = facts.get("jars", {"folder": "none", "files": []})
    rows = [
        ("Java", jvm.get("java") or facts["java"] or "not found"),
        ("Java home", jvm.get("java_home", "unknown")),
        ("Maven", facts["maven"] or "not found (needed once, to download the jars)"),
        ("jars", f"{len(jars['files'])} in {jars['folder']}"),
        *((" ", name) for name in jars["files"] if _worth_showing(name)),
        ("platform", facts.get("platform", "unknown")),
        ("Deeplearning4j", jvm.get("deeplearning4j", "not started")),
        ("backend", jvm.get("backend", "not started")),
        ("BLAS", f"{jvm.get('blas', 'not started')} ({jvm.get('blas_kernel', '?')} kernels)"),
        ("engine", jvm.get("engine", "not started")),
        ("oneDNN", {True: "on", False: "off", None: "not started"}[jvm.get("onednn")]),
        ("threads", f"{jvm.get('threads', '?')} on {facts['cores']} cores"),
        ("Java heap", _memory(jvm, "heap")),
        ("off-heap memory", _limit(jvm)),
        ("options", " ".join(facts["settings"]["jvm_options"])),
        ("self-check", facts["self_check"]),
    ]
    lines = [f"{name:<16}{value}" for name, value in rows]
    problems = facts["problems"] or ["none"]
    return "\n".join([*lines, "", "Problems:", *(f"- {problem}" for problem in problems)])


def _worth_showing(jar: str) -> bool:
    return jar.startswith(
        ("pyimgret-", "deeplearning4j-nn", "nd4j-native-1", "nd4j-api", "openblas")
    )


def _limit(jvm: dict[str, Any]) -> str:
    if "off_heap_max_bytes" not in jvm:
        return "not started"
    most, resident = jvm["off_heap_max_bytes"] >> 20, jvm["resident_bytes"] >> 20
    return f"at most {most} MiB for arrays; this process uses {resident} MiB in total"


def _memory(jvm: dict[str, Any], which: str) -> str:
    if f"{which}_max_bytes" not in jvm:
        return "not started"
    used, most = jvm[f"{which}_used_bytes"] >> 20, jvm[f"{which}_max_bytes"] >> 20
    return f"{used} of at most {most} MiB in use"
