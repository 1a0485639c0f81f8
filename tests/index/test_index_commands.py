"""The commands of the index, with a fake model in the place of one that needs a JVM."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner
from index_fakes import FakeEncoder
from PIL import Image

from pyimgret.cli import main


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    """Let every model file be the fake encoder."""
    module = types.ModuleType("pyimgret.encoder")
    module.Encoder = types.SimpleNamespace(load=lambda _: FakeEncoder())
    monkeypatch.setitem(sys.modules, "pyimgret.encoder", module)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ["cats/a.png", "cats/b.png", "dogs/c.png", "new\nline.png"]:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def filled(run, images):
    run("index", "add", "--index", "idx", "--model", "ae.zip", "images")
    return run


def test_add_then_search_as_text_and_json(filled):
    document = json.loads(
        filled("search", "--index", "idx", "images/cats/b.png", "-k", "2", "--json").stdout
    )
    assert [match["rank"] for match in document["matches"]] == [1, 2]
    best = document["matches"][0]
    assert best["key"] == "cats/b.png"
    assert best["score"] == pytest.approx(1, abs=1e-6)
    assert best["metadata"] == {"folder": "cats"}
    text = filled("search", "--index", "idx", "images/new\nline.png", "-k", "1").stdout
    assert "new\\nline.png" in text
    by_key = filled(
        "search", "--index", "idx", "--key", "cats/a.png", "--exclude", "cats/a.png", "--json"
    )
    assert len(json.loads(by_key.stdout)["matches"]) == 3


def test_adding_again_does_nothing_and_single_files_are_keyed_as_given(filled):
    again = filled("index", "add", "--index", "idx", "images", "--json")
    assert json.loads(again.stdout)["unchanged"] == 4
    one = filled("index", "add", "--index", "idx", "images/cats/a.png", "--json")
    assert json.loads(one.stdout)["count"] == 5
    document = json.loads(
        filled("search", "--index", "idx", "--key", "cats/a.png", "--json").stdout
    )
    assert document["matches"][1]["key"] == "images/cats/a.png"


def test_sync_dry_run_lists_changes_only(filled, images):
    (images / "cats/a.png").unlink()
    (images / "broken.png").write_bytes(b"no image")
    dry = filled("index", "sync", "--index", "idx", "--dry-run", "images")
    assert "delete cats/a.png" in dry.stdout
    assert "would add 1, would delete 1, unchanged 3." in dry.stdout
    done = filled("index", "sync", "--index", "idx", "images", "--json")
    document = json.loads(done.stdout)
    assert (document["deleted"], document["count"]) == (1, 3)
    assert document["failed"][0]["key"] == "broken.png"
    text = filled("index", "sync", "--index", "idx", "images")
    assert "not added: broken.png: " in text.stderr
    strict = filled("index", "sync", "--index", "idx", "--strict", "images", code=1)
    assert strict.stderr.startswith("pyimgret: broken.png: ")


def test_delete_and_info(filled):
    filled("index", "delete", "--index", "idx", "cats/a.png")
    facts = json.loads(filled("index", "info", "--index", "idx", "--json").stdout)
    assert (facts["count"], facts["dimension"], facts["has_model"]) == (3, 16, True)
    assert "dimension" in filled("index", "info", "--index", "idx").stdout
    missing = filled("index", "delete", "--index", "idx", "cats/a.png", code=1)
    assert "cats/a.png" in missing.stderr


def test_wrong_usage_and_clear_errors(run, images):
    nowhere = run("index", "add", "--index", "idx", "images", code=1)
    assert "contains no index" in nowhere.stderr
    run("index", "add", "--index", "idx", "--model", "ae.zip", "nothing", code=2)
    run("index", "add", "--index", "idx", "--model", "ae.zip", "images")
    run("search", "--index", "idx", code=2)
    run("search", "--index", "idx", "-k", "0", "images/cats/a.png", code=2)
    no_image = images.parent / "text.png"
    no_image.write_text("hello")
    assert run("search", "--index", "idx", "text.png", code=1).stderr.startswith("pyimgret: ")


def test_maintenance_commands(filled, tmp_path):
    for kind in ("hnsw", "int8", "binary", "exact"):
        built = filled("index", "build", "--index", "idx", "--kind", kind, "--recall", "--json")
        assert json.loads(built.stdout)["recall_at_10"] == 1.0
    checked = filled("index", "check", "--index", "idx", "--json")
    assert json.loads(checked.stdout)["ok"] is True
    assert "copy" in filled("index", "publish", "--index", "idx", "copy").stdout
    found = filled("search", "--index", "copy", "--key", "cats/a.png", "--json")
    assert len(json.loads(found.stdout)["matches"]) == 4
    filled("index", "compact", "--index", "idx")
    filled("index", "export", "--index", "idx", "all.parquet")
    filled("index", "import", "--index", "two", "--model", "ae.zip", "all.parquet")
    assert json.loads(filled("index", "info", "--index", "two", "--json").stdout)["count"] == 4
    groups = filled("duplicates", "--index", "idx", "--threshold", "0.99", "--json")
    assert json.loads(groups.stdout) == {"groups": []}
    assert "0 groups" in filled("duplicates", "--index", "idx", "--threshold", "0.999").stdout


def test_filters_on_command_line(filled):
    for where in ("folder == 'cats'", '{"folder": "cats"}'):
        found = filled(
            "search", "--index", "idx", "--key", "cats/a.png", "--where", where, "--json"
        )
        keys = [match["key"] for match in json.loads(found.stdout)["matches"]]
        assert keys == ["cats/a.png", "cats/b.png"]
    bad = filled("search", "--index", "idx", "--key", "cats/a.png", "--where", "folder", code=1)
    assert "Expected a comparison" in bad.stderr


def test_damaged_index_ends_with_status_1(filled, tmp_path):
    import sqlite3

    connection = sqlite3.connect(tmp_path / "idx" / "index.sqlite")
    connection.execute("UPDATE vectors SET vector = zeroblob(64) WHERE number = 1")
    connection.commit()
    connection.close()
    result = filled("index", "check", "--index", "idx", code=1)
    assert "damaged: the vector of" in result.stdout


def test_search_accepts_several_images_and_folders(filled, tmp_path):
    (tmp_path / "images/dogs/broken.png").write_bytes(b"no image")
    call = ["search", "--index", "idx", "images/cats", "images/dogs", "-k", "2"]
    done = filled(*call, "--json")
    document = json.loads(done.stdout)
    names = ["images/cats/a.png", "images/cats/b.png", "images/dogs/c.png"]
    assert [one["query"] for one in document["queries"]] == names
    best = [one["matches"][0]["key"] for one in document["queries"]]
    assert best == ["cats/a.png", "cats/b.png", "dogs/c.png"]
    assert [one["key"] for one in document["failed"]] == ["images/dogs/broken.png"]
    assert "skipped images/dogs/broken.png: " in done.stderr
    lines = filled(*call, "--where", "folder == 'dogs'", "--min-score", "0.999").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["images/cats/a.png", "no", "match"],
        ["images/cats/b.png", "no", "match"],
        ["images/dogs/c.png", "dogs/c.png", "1.0000"],
    ]
    single = json.loads(filled("search", "--index", "idx", names[0], "-k", "2", "--json").stdout)
    pairs = zip(single["matches"], document["queries"][0]["matches"], strict=True)
    assert all(a | {"score": 0} == b | {"score": 0} for a, b in pairs)
    filled(*call, "--explain", "out.png", code=2)
    filled(*call, "--key", "cats/a.png", code=2)
    filled("search", "--milvus", "m.db", "--model", "ae.zip", *names, code=2)


@pytest.mark.parametrize("queries", [("images/cats/a.png",), ("images/cats", "images/dogs")])
def test_unknown_filter_field_is_reported(filled, queries):
    call = ("search", "--index", "idx", *queries, "--where", "foldr == 'cats' or exists(x.y)")
    done = filled(*call, "--json")
    assert "no item of the index has the field 'foldr'; did you mean folder?\n" in done.stderr
    assert "no item of the index has the field 'x.y'.\n" in done.stderr
    assert json.loads(done.stdout)["unknown_fields"] == {"foldr": ["folder"], "x.y": []}
    known = filled(*call[:-1], "folder == 'cats' and not (folder == 'x')", "--json")
    assert (known.stderr, "unknown_fields" in json.loads(known.stdout)) == ("", False)


def test_interrupt_reports_number_of_stored_images(filled, images, monkeypatch):
    whole = FakeEncoder.encode_tensors
    for number in range(200):
        array = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(array).save(images / f"{number:03}.png")

    def interrupted(self, X):
        if self.batches:
            raise KeyboardInterrupt
        return whole(self, X)

    monkeypatch.setattr(FakeEncoder, "encode_tensors", interrupted)
    call = ("index", "add", "--index", "idx", "--model", "ae.zip", "images")
    stopped = filled(*call, code=130)
    assert stopped.stderr == (
        "pyimgret: interrupted: 128 new images were added, the index now has 132; the same "
        "command resumes there\n"
    )
    monkeypatch.setattr(FakeEncoder, "encode_tensors", whole)
    assert json.loads(filled(*call, "--json").stdout)["added"] == 72


def test_reasons_do_not_repeat_path(filled, images):
    (images / "bad.png").write_bytes(b"no image")
    for path, key in (("images", "bad.png"), ("images/bad.png", "images/bad.png")):
        text = filled("index", "add", "--index", "idx", path).stderr
        assert text.startswith(f"not added: {key}: not an image")
    skipped = filled("search", "--index", "idx", "images/bad.png", "images/cats").stderr
    assert skipped.startswith("skipped images/bad.png: not an image")


def test_explain_reports_output_path(filled, monkeypatch):
    from pyimgret import explain
    from pyimgret.visualization.style import new_figure

    monkeypatch.setattr(explain, "explain", lambda *_: None)
    monkeypatch.setattr(explain, "plot_explanation", lambda *_: new_figure(1, 1))
    call = ("search", "--index", "idx", "images/cats/a.png", "--explain", "why.png")
    assert filled(*call).stdout.endswith("\nWrote why.png.\n")
    assert json.loads(filled(*call, "--json").stdout)["explanation"] == "why.png"
    with Image.open("why.png") as image:
        assert image.format == "PNG"


def test_dry_run_reports_what_it_would_do(filled, images):
    (images / "cats/new.png").write_bytes((images / "cats/a.png").read_bytes())
    dry = ("index", "sync", "--index", "idx", "--dry-run", "images")
    assert "would add 1" in filled(*dry).stdout
    assert json.loads(filled(*dry, "--json").stdout)["dry_run"] is True


def test_invalid_json_filter_reports_expected_form(filled):
    done = filled("search", "--index", "idx", "--key", "cats/a.png", "--where", '{"a": ', code=1)
    assert "not JSON" in done.stderr
    assert "year >= 2001" in done.stderr


@pytest.fixture
def hidden(images):
    """Add a hidden folder, a hidden file and two system files."""
    content = (images / "cats/a.png").read_bytes()
    for name in (".git/x.png", ".y.png", "cats/Thumbs.db", "__MACOSX/z.png"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(content)
    return images


SAID = "skipped 4 hidden files and folders; --hidden includes them."


@pytest.mark.parametrize("command", ["add", "sync"])
def test_index_commands_report_skipped_hidden_files(run, hidden, command):
    arguments = ("index", command, "--index", "idx", "--model", "ae.zip", "images")
    done = run(*arguments)
    assert "added 4." in done.stdout
    assert SAID in done.stderr
    document = json.loads(run(*arguments, "--json").stdout)
    assert (document["unchanged"], document["hidden_skipped"]) == (4, 4)
    assert "added 4" in run(*arguments, "--hidden").stdout
    again = run("index", "sync", "--index", "idx", "images")
    assert "4 images of hidden files in the index were left unchanged;" in again.stderr
    assert "deleted" not in again.stdout


def test_every_folder_command_skips_same_files(run, hidden, filled):
    embed = ("embed", "--model", "ae.zip", "--images", "images", "--json")
    search = ("search", "--index", "idx", "images", "-k", "1", "--json")
    for arguments, name in ((embed, "embeddings"), (search, "queries")):
        done = run(*arguments)
        assert SAID in done.stderr
        assert len(json.loads(done.stdout)[name]) == 4
        every = run(*arguments, "--hidden")
        assert SAID not in every.stderr
        assert len(json.loads(every.stdout)[name]) == 8


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "embed",
        "evaluate",
        "search",
        "index add",
        "index sync",
        "spark train",
        "spark embed",
        "plot embedding",
        "plot reconstructions",
    ],
)
def test_every_folder_command_has_hidden_option(run, command):
    assert "--hidden " in run(*command.split(), "--help").stdout


def test_folder_of_hidden_files_names_option(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".a.png").write_bytes(b"x")
    arguments = ("embed", "--model", "ae.zip", "--images", "empty", "--json")
    assert "--hidden includes them" in run(*arguments, code=1).stderr


def test_urls_are_not_fetched(filled):
    done = filled("search", "--index", "idx", "https://host/a.png", code=2)
    assert "URLs are not fetched" in done.stderr
    done = filled("index", "add", "--index", "idx", "https://host/a.png", code=2)
    assert "URLs are not fetched" in done.stderr


def test_score_that_is_not_a_number_is_rejected(filled):
    arguments = ("search", "--index", "idx", "images/cats/a.png", "--min-score", "nan")
    assert "min_score must be a number from -1 to 1" in filled(*arguments, code=1).stderr
