"""The speed of pyimgret beside named peers: ``python -m tests.benchmarks``.

    python -m tests.benchmarks [--only PART ...] [--json FILE]

Runs the parts one after the other, each in processes of its own, and ends with one table:
what was measured, ours, the peer, theirs, and the ratio of the speeds, above 1 where ours is
faster. Both sides are measured in the same run in turn; figures are medians of five rounds (of
more where a part says so). Beside each stands what else ran meanwhile: the load average before
the part, and how many cores other processes, or the host of a virtual machine, took during it; with
more than a twentieth of a core taken the table ends with a warning, and the figures are worth
less. Needs the extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyimgret.jvm.settings import available_cores
from tests.benchmarks.other_work import OtherWork

ROOT = Path(__file__).resolve().parents[2]
#: Cores taken by others above which a part's figures are doubtful.
DISTURBED = 0.05


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    ours, theirs : float
        Measured, in ``unit``.
    ratio : float
        How many times as fast ours is.
    """

    what: str
    unit: str
    ours: float
    peer: str
    theirs: float
    ratio: float


@dataclass(frozen=True)
class Part:
    """A benchmark that prints JSON, and how its figures become rows."""

    command: tuple[str, ...]
    rows: Callable[[dict[str, Any]], list[Row]]


def _training(name: str, what: str) -> Part:
    def rows(result: dict[str, Any]) -> list[Row]:
        speeds, ratio = result[name]["images_a_second"], result[name]["ratio"]["wall"]
        return [Row(what, "images/s", speeds["ours"], "PyTorch", speeds["torch"], ratio)]

    return Part(("training", "--only", name, "--json"), rows)


def _java_fit(result: dict[str, Any]) -> list[Row]:
    seconds = result["seconds"]
    what = f"autoencoder fit from Python, {result['epochs']} epochs"
    peers = {"java": "the same loop in pure Java", "stock": "Deeplearning4j's own fit in Java"}
    return [
        Row(what, "s", seconds["python"], peer, seconds[side], result[f"python_of_{side}"])
        for side, peer in peers.items()
    ]


def _startup(result: dict[str, Any]) -> list[Row]:
    first, lenet = result["start_to_first_embedding_s"], result["lenet_output_ms"]
    ours, theirs = lenet["our_options"], lenet["deeplearning4j_defaults"]
    return [
        Row(
            "start to first embedding",
            "s",
            first["median"],
            "PyTorch",
            first["torch"],
            first["torch"] / first["median"],
        ),
        Row(
            "LeNet output by Deeplearning4j, our options",
            "ms",
            ours,
            "its defaults",
            theirs,
            lenet["ratio"],
        ),
    ]


def _beside_fit(result: dict[str, Any]) -> list[Row]:
    rows = []
    for fitted, encoders in result["beside_fit_of"].items():
        for encoder, figures in encoders.items():
            for which in ("median", "worst"):
                ours, idle = figures[f"{which}_ms"], result["idle"][encoder][f"{which}_ms"]
                what = f"encode 1 image with the {encoder} while the {fitted} is fitted, {which}"
                rows.append(Row(what, "ms", ours, "with no fit beside it", idle, idle / ours))
    return rows


def _inference(result: dict[str, Any]) -> list[Row]:
    rows = []
    for what, speeds in result.items():
        peers = {"ONNX Runtime": speeds["onnxruntime"], "OpenVINO": speeds["openvino"]}
        best = max(peers, key=lambda name: peers[name])
        rows.append(Row(what, "rows/s", speeds["ours"], best, peers[best], speeds["ratio"]))
    return rows


def _index(name: str, what: str) -> Part:
    def rows(result: dict[str, Any]) -> list[Row]:
        ours, theirs = result[name]["ours_ms"], result[name]["faiss_ms"]
        return [Row(what, "ms", ours, "faiss IndexFlatIP", theirs, theirs / ours)]

    return Part(("index", "--only", name, "--json"), rows)


_AUTOENCODER = "autoencoder 784-1000-500-250-30"

PARTS: dict[str, Part] = {
    "autoencoder-fit": _training("autoencoder-fit-256", f"{_AUTOENCODER} fit, Adam, batch 256"),
    "autoencoder-encode": _training("autoencoder-encode", f"{_AUTOENCODER} encode"),
    "lenet-fit": _training("lenet-fit-128", "LeNet fit, batch 128"),
    "lenet-output": _training("lenet-output-128", "LeNet output, batch 128"),
    "inference": Part(("inference", "--json"), _inference),
    "java-fit": Part(("java_fit",), _java_fit),
    "encode-beside-fit": Part(("encode_beside_fit",), _beside_fit),
    "startup": Part(("startup", "--torch", "--json"), _startup),
    "exact-small": _index("exact-small", "exact search, top 10 of 60,000 x 30"),
    "exact-large": _index("exact-large", "exact search, top 10 of 300,000 x 128"),
}


def main() -> None:
    """Run the parts, print the table, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write everything there as well.")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "parts": {}}
    for name in options.only or PARTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        report["parts"][name] = measured(PARTS[name])
        if options.json:
            options.json.write_text(json.dumps(report, indent=2))
    print(table(report["parts"]))
    sys.exit(any("error" in part for part in report["parts"].values()))


def machine() -> dict[str, Any]:
    """Describe what the figures hold for."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": available_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def measured(part: Part) -> dict[str, Any]:
    """Run a part in a process of its own; return its rows, its own report, and the other work."""
    module, *arguments = part.command
    watch = OtherWork()
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        cwd=ROOT,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    conditions = watch.so_far()
    if done.returncode:
        return {"conditions": conditions, "error": done.stderr.strip()}
    result = json.loads(done.stdout)
    rows = [asdict(row) for row in part.rows(result)]
    return {"conditions": conditions, "rows": rows, "result": result}


def table(parts: dict[str, Any]) -> str:
    """Return the rows of all parts as Markdown, the warnings and the errors."""
    lines = [
        "| what | ours | peer | theirs | times as fast | load before | cores of others |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in parts.values():
        lines += [_line(row, part["conditions"]) for row in part.get("rows", [])]
    return "\n".join([*lines, *_warnings(parts)])


def _line(row: dict[str, Any], conditions: dict[str, float]) -> str:
    unit = row["unit"]
    ours, theirs = (_number(row[side]) for side in ("ours", "theirs"))
    return (
        f"| {row['what']} | {ours} {unit} | {row['peer']} | {theirs} {unit} | {row['ratio']:.2f} "
        f"| {conditions['load_before']} | {_taken(conditions):.2f} |"
    )


def _number(value: float) -> str:
    """Three digits that count, and whole numbers whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _taken(conditions: dict[str, float]) -> float:
    return conditions["other_cores"] + conditions["stolen_cores"]


def _warnings(parts: dict[str, Any]) -> list[str]:
    disturbed = [name for name, p in parts.items() if _taken(p["conditions"]) > DISTURBED]
    lines = [f"\n{name} FAILED:\n{p['error']}" for name, p in parts.items() if "error" in p]
    if disturbed:
        lines.append(f"\nWARNING: other work took processor time during {', '.join(disturbed)}.")
    return lines


if __name__ == "__main__":
    main()
