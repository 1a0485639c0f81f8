"""A real standalone cluster on loopback: one master, workers of one core each, ended by pid."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import pyspark

STARTED = re.compile(r"Starting Spark master at (spark://\S+)")
DEADLINE = 240.0


def spark_home() -> Path:
    return Path(pyspark.__file__).parent


def environment(threads: int = 1) -> dict[str, str]:
    return os.environ | {
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


class Process:
    """A daemon of the cluster, with its log."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(spark_home() / "bin" / "spark-class"), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(),
                cwd=folder,
            )

    def wait_for(self, pattern: re.Pattern[str]) -> str:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = pattern.search(self.log.read_text(errors="replace"))
            if found:
                return found[found.re.groups]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"{pattern.pattern} did not appear:\n{self.log.read_text()[-3000:]}")

    def executors(self) -> list[int]:
        return children(self.process.pid)

    def kill(self) -> None:
        """End it as a power cut would, and what it has started."""
        executors = self.executors()
        self.process.send_signal(signal.SIGKILL)
        for pid in executors:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            executors = self.executors()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            for pid in executors:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


class Cluster:
    """A master and its workers.

    Parameters
    ----------
    folder : Path
        For logs and the executors' files.
    workers : int
        Each has one core.
    memory : str
        What a worker may give to its executors' heaps.
    """

    def __init__(self, folder: Path, workers: int = 2, memory: str = "2g") -> None:
        self.folder = folder
        self.memory = memory
        self.workers: list[Process] = []
        self.master = Process(
            folder,
            "master",
            "org.apache.spark.deploy.master.Master",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--webui-port",
            "0",
        )
        try:
            self.url = self.master.wait_for(STARTED)
            for _ in range(workers):
                self.add_worker()
        except BaseException:
            self.close()
            raise

    def add_worker(self) -> Process:
        name = f"worker-{len(self.workers)}"
        worker = Process(
            self.folder,
            name,
            "org.apache.spark.deploy.worker.Worker",
            "--host",
            "127.0.0.1",
            "--webui-port",
            "0",
            "--cores",
            "1",
            "--memory",
            self.memory,
            "--work-dir",
            str(self.folder / name),
            self.url,
        )
        self.workers.append(worker)
        worker.wait_for(re.compile("(Successfully registered with master)"))
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        for process in [*self.workers, self.master]:
            process.end()
