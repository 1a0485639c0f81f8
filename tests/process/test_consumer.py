"""JVM systems that know the installed artefact only answer as Python does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyimgret import Encoder, Index
from tests.pages import Block, blocks

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
CONSUMER = ROOT / "tests" / "consumer"


def images() -> list[Path]:
    return sorted((GOLDEN / "pictures").glob("*.[pbj]*"))


def jdk_environment() -> dict[str, str]:
    environment = dict(os.environ)
    # NB: once our JVM has started, JAVA_HOME is its own, and a bare runtime builds nothing.
    if not (Path(environment.get("JAVA_HOME", "")) / "bin" / "javac").exists():
        environment.pop("JAVA_HOME", None)
    return environment


def maven(*arguments: str) -> None:
    command = [shutil.which("mvn") or "mvn", "-B", "-q", *arguments]
    subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL, env=jdk_environment())


def shell(block: Block, folder: Path) -> str:
    """Run a shell block of the page about Java and return what it printed."""
    done = subprocess.run(
        ["bash", "-euc", block.text],
        cwd=folder,
        env=jdk_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed() -> None:
    """Install the artefact by the command that the page about Java names."""
    shell(blocks("java/README.md")[0], ROOT)


@pytest.fixture(scope="module")
def classpath(installed: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the consumer, and return its class path."""
    target = tmp_path_factory.mktemp("consumer") / "target"
    listing = target / "classpath"
    maven(
        "-f",
        str(CONSUMER / "pom.xml"),
        f"-DbuildDirectory={target}",
        "package",
        "dependency:build-classpath",
        f"-Dmdep.outputFile={listing}",
    )
    return f"{target / 'image-search.jar'}{os.pathsep}{listing.read_text().strip()}"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Return an index of the golden images, as Python writes it."""
    encoder = Encoder.load(GOLDEN / "models" / "autoencoder.zip")
    index = Index.create(tmp_path_factory.mktemp("index") / "live ä", encoder)
    index.add([str(path) for path in images()], keys=[path.name for path in images()])
    yield index
    index.close()


@pytest.fixture(scope="module")
def service(classpath: str, index: Index) -> Iterator[str]:
    """Return the address of the running consumer."""
    process = subprocess.Popen(
        [
            "java",
            "-Xmx1g",
            "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
            "-Dorg.eclipse.deeplearning4j.helpers.disable=false",
            "-cp",
            classpath,
            "org.example.search.SearchService",
            str(index.directory),
            "0",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert process.stdout
    assert process.stdin
    assert process.stderr
    log: list[str] = []
    drain = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    drain.start()
    lines = [process.stdout.readline() for _ in range(2)]
    assert lines[1].startswith("listening on "), (lines, log)
    assert lines[0] == "oneDNN on\n"
    yield f"http://127.0.0.1:{int(lines[1].split()[-1])}"
    process.stdin.close()
    assert process.wait(30) == 0
    drain.join(10)
    process.stdout.close()
    process.stderr.close()


def post(address: str, body: bytes = b"") -> dict[str, object]:
    request = urllib.request.Request(address, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_java_service_gets_matches_of_python(service, index):
    with ThreadPoolExecutor(8) as threads:
        requests = [(f"{service}/search?k=5", path.read_bytes()) for path in images()]
        answers = list(threads.map(lambda request: post(*request), requests))
    for image, answer in zip(images(), answers, strict=True):
        expected = index.search(str(image), k=len(index))
        scores = {match.key: match.score for match in expected}
        found = answer["matches"]
        assert len(found) == 5
        for rank, match in enumerate(found):
            # NB: the same image in two formats is equally near; either may come first.
            assert match["score"] == pytest.approx(scores[match["key"]], abs=1e-5)
            assert match["score"] == pytest.approx(expected[rank].score, abs=1e-5)


def test_java_service_finds_items_added_by_python(service, index):
    size = len(index)
    assert post(f"{service}/reload") == {"changed": False, "size": size}
    image = GOLDEN / "pictures" / "animated.gif"
    index.add([str(image)], keys=['new/ä"\\.gif'])
    assert post(f"{service}/reload") == {"changed": True, "size": size + 1}
    best = post(f"{service}/search?k=1", image.read_bytes())["matches"][0]
    assert best == {"key": 'new/ä"\\.gif', "score": pytest.approx(1, abs=1e-5)}


def test_java_service_reports_unreadable_image(service):
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(f"{service}/search", b"no image")
    with caught.value as answer:
        assert answer.code == 422
        assert "not an image" in json.load(answer)["detail"]


def test_programs_of_documentation_get_matches_of_python(installed, index, tmp_path):
    _, pom, program, run = blocks("java/README.md")
    (first,) = [block for block in blocks("README.md") if block.language == "java"]
    sources = tmp_path / "src" / "main" / "java"
    sources.mkdir(parents=True)
    (tmp_path / "pom.xml").write_text(pom.text)
    (sources / "Cats.java").write_text(program.text)
    (sources / "Search.java").write_text(first.text)
    (tmp_path / "idx").symlink_to(index.directory)
    query = GOLDEN / "pictures" / "jpeg-444.jpg"
    shutil.copy(query, tmp_path / "query.jpg")
    expected = [match.score for match in index.search(str(query), k=5)]
    cats = shell(run, tmp_path).splitlines()
    again = Block(run.page, run.line, "sh", run.text.splitlines()[-1].replace("Cats", "Search"))
    found = shell(again, tmp_path).splitlines()
    assert [float(line.split()[1]) for line in cats[:5]] == pytest.approx(expected, abs=1e-5)
    assert cats[5] == "0 cats"
    assert [float(line.split()[-1]) for line in found] == pytest.approx(expected, abs=1e-5)
