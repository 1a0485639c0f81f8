"""Running ``spark-submit``: jars, options, progress and errors."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyimgret.exceptions import (
    InvalidArgumentError,
    JavaCallError,
    JvmStartError,
    MissingExtraError,
)
from pyimgret.jvm.jars import spark_jars
from pyimgret.jvm.java import java_home

#: Called with every event of a job: a dictionary with the key "event".
Progress = Callable[[dict[str, Any]], None]

#: The newest Java that Spark 3.5 supports; later ones lack features that its Hadoop needs.
NEWEST_JAVA = 22
_THROWN = re.compile(r'^(?:Exception in thread "main" |Caused by: )([\w.$]+)(?:: (.*))?$', re.M)


@dataclass(frozen=True)
class SparkOptions:
    """The cluster and the resources of a job.

    Attributes
    ----------
    master : str
        The argument of ``spark-submit --master``, such as ``spark://host:7077`` or
        ``local[2]``.
    executor_memory, driver_memory : str
        Java heaps, such as "2g".
    off_heap : int
        Memory in MiB for arrays of an executor outside its heap. An executor needs both, and
        about 300 MiB for Java itself.
    executor_cores : int
        Cores per executor.
    max_cores : int or None
        Maximum number of cores to use; None for all.
    jars : str
        "ship" sends the jars to every executor; "local" requires them to exist at the same
        path on every machine.
    java_home : str or None
        The JDK (8 to 22) of the driver; by default as everywhere in pyimgret.
    conf : mapping of str to str
        Further Spark settings.
    """

    master: str
    executor_memory: str = "2g"
    driver_memory: str = "2g"
    off_heap: int = 2048
    executor_cores: int = 1
    max_cores: int | None = None
    jars: str = "ship"
    java_home: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.jars not in ("ship", "local"):
            raise InvalidArgumentError(f"unknown jars={self.jars!r}; known: ship, local.")
        for name in ("off_heap", "executor_cores", "max_cores"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidArgumentError(f"{name} must be at least 1, got {value}.")

    def settings(self) -> dict[str, str]:
        """Return the Spark settings; those in `conf` take precedence."""
        java = (
            f"-Dorg.bytedeco.javacpp.maxbytes={self.off_heap}m "
            "-Dorg.bytedeco.javacpp.maxphysicalbytes=0 "
            "-Dorg.eclipse.deeplearning4j.helpers.disable=false -Djava.awt.headless=true"
        )
        # NB: otherwise a one-core executor uses a garbage collector thread per core of the machine.
        share = f"-XX:ActiveProcessorCount={self.executor_cores}"
        settings = {
            "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
            "spark.kryo.registrator": "org.nd4j.kryo.Nd4jRegistrator",
            "spark.executor.memory": self.executor_memory,
            "spark.driver.memory": self.driver_memory,
            "spark.executor.memoryOverhead": f"{self.off_heap + 384}m",
            "spark.executor.cores": str(self.executor_cores),
            "spark.executor.extraJavaOptions": f"{java} {share}",
            "spark.driver.extraJavaOptions": java,
            # Each core runs its own task, so BLAS needs only one thread.
            "spark.executorEnv.OMP_NUM_THREADS": "1",
            "spark.executorEnv.OMP_WAIT_POLICY": "PASSIVE",
            # NB: broadcasts are freed only when the driver's garbage collector runs.
            "spark.cleaner.periodicGC.interval": "1min",
            "spark.ui.enabled": "false",
        }
        if self.max_cores is not None:
            settings["spark.cores.max"] = str(self.max_cores)
            settings["spark.scheduler.minRegisteredResourcesRatio"] = "1.0"
        return settings | dict(self.conf)


def submit(
    main: str, job: dict[str, Any], options: SparkOptions, *, progress: Progress | None
) -> dict[str, Any]:
    """Run a job and return its last event.

    Raises
    ------
    MissingExtraError
        If pyspark is not installed.
    JvmStartError
        If there is no Java that Spark supports.
    JavaCallError
        If the job failed; the message is that of the innermost cause.
    """
    with tempfile.TemporaryDirectory(prefix="pyimgret-spark-") as folder:
        document = Path(folder) / "job.json"
        document.write_text(json.dumps(job), encoding="utf-8")
        log = Path(folder) / "spark.log"
        command = _command(main, document, options)
        last: dict[str, Any] = {}
        with log.open("wb") as errors:
            for last in _lines(command, _environment(options), errors):
                if progress is not None:
                    progress(last)
        if last.get("event") != "finished":
            raise _failure(main, log.read_text(errors="replace"))
        return last


def _lines(
    command: list[str], environment: dict[str, str], errors: Any
) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith('{"event":'):
                    yield json.loads(line)
            if process.wait():
                yield {"event": "failed"}
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            raise


def _command(main: str, document: Path, options: SparkOptions) -> list[str]:
    application, jars = spark_jars()
    scheme = "local:" if options.jars == "local" else ""
    program = "spark-submit.cmd" if os.name == "nt" else "spark-submit"
    command = [str(spark_home() / "bin" / program)]
    command += ["--master", options.master, "--class", f"org.pyimgret.spark.{main}"]
    command += ["--jars", ",".join(f"{scheme}{jar}" for jar in jars)]
    for name, value in options.settings().items():
        command += ["--conf", f"{name}={value}"]
    return [*command, f"{scheme}{application}", str(document)]


def spark_home() -> Path:
    """Return the Spark home of the installed pyspark.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "Apache Spark is part of the package pyspark, which is not installed; "
            "install the extra: pip install 'pyimgret[spark]'."
        )
    return Path(spec.submodule_search_locations[0])


def _environment(options: SparkOptions) -> dict[str, str]:
    home = options.java_home or java_home()
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        raise JvmStartError(f"No java was found in {home or 'the PATH'}; Spark needs a JDK 17.")
    check_java(java)
    # NB: a SPARK_HOME of another installation would select another version of Spark.
    environment = os.environ | {"SPARK_HOME": str(spark_home()), "OMP_WAIT_POLICY": "PASSIVE"}
    return environment | ({"JAVA_HOME": home} if home else {})


def check_java(java: str) -> None:
    """Reject a Java that Spark 3.5 does not support.

    Raises
    ------
    JvmStartError
        With the version and advice.
    """
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', output)
    if found is None or not 11 <= int(found[1]) <= NEWEST_JAVA:
        version = found[1] if found else output.strip()[:200]
        raise JvmStartError(
            f"{java} is Java {version}; Spark 3.5 and pyimgret support 11 to {NEWEST_JAVA}, "
            "preferably 17. Set JAVA_HOME to such a JDK, here and on the cluster."
        )


def _failure(main: str, log: str) -> JavaCallError:
    thrown = _THROWN.findall(log)
    if not thrown:
        tail = "\n".join(log.strip().splitlines()[-15:])
        return JavaCallError(f"spark-submit of {main} failed:\n{tail}", java_stack=log[-20_000:])
    java_class, message = thrown[-1]
    stack = log[max(0, log.find('Exception in thread "main"')) :][:20_000]
    return JavaCallError(
        f"{java_class} in {main}: {message}", java_class=java_class, java_stack=stack
    )
