"""API keys: a name has one key, and a key can be revoked while the service runs."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pyimgret.cli import main
from pyimgret_server.keys import make_key, read_keys

VECTOR = {"vector": [1.0] * 16}


@pytest.fixture
def serve(key_file):
    """Run ``pyimgret serve`` with the file of keys."""

    def run(*arguments):
        return CliRunner().invoke(main, ["serve", "--api-key-file", str(key_file), *arguments])

    return run


def test_second_key_for_name_is_rejected_and_first_stays(serve, writer, key_file):
    before = key_file.read_text()
    again = serve("--new-api-key", "tests")
    assert again.exit_code == 1
    assert "already has a key with the name 'tests'" in again.stderr
    assert f"--api-key-file {key_file} --revoke-api-key tests" in again.stderr
    assert again.stdout == ""
    assert key_file.read_text() == before
    assert writer.post("/v1/items", json=VECTOR).status_code == 201


def test_revoked_key_is_rejected_by_running_service(serve, writer, key_file):
    key_file.write_text("# cameras\n" + key_file.read_text())
    other = make_key(key_file, "other")
    assert writer.post("/v1/items", json=VECTOR).status_code == 201
    assert serve("--revoke-api-key", "tests").exit_code == 0
    assert writer.post("/v1/items", json=VECTOR).status_code == 401
    headers = {"Authorization": f"Bearer {other}"}
    assert writer.post("/v1/items", json=VECTOR, headers=headers).status_code == 201
    assert key_file.read_text().startswith("# cameras\nother sha256:")
    assert key_file.stat().st_mode & 0o077 == 0
    assert list(key_file.parent.glob(f".{key_file.name}-*")) == []


def test_last_key_can_be_revoked_and_name_used_again(serve, writer):
    assert serve("--revoke-api-key", "tests").exit_code == 0
    assert writer.post("/v1/items", json=VECTOR).status_code == 401
    made = serve("--new-api-key", "tests")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert writer.post("/v1/items", json=VECTOR, headers=headers).status_code == 201


def test_revoking_unknown_key_lists_existing_ones(serve, api_key):
    missing = serve("--revoke-api-key", "nobody")
    assert missing.exit_code == 1
    assert "no key with the name 'nobody'; it has: tests." in missing.stderr


def test_names_of_keys_are_listed(serve, key_file, api_key):
    make_key(key_file, "camera-1")
    assert serve("--list-api-keys").stdout.split() == ["camera-1", "tests"]
    assert CliRunner().invoke(main, ["serve", "--list-api-keys"]).exit_code == 2


def test_two_keys_of_one_name_in_older_file_both_work_and_are_revoked_together(key_file, serve):
    first, second = (make_key(key_file.with_name(n), "twice") for n in ("one", "two"))
    text = "".join(key_file.with_name(n).read_text() for n in ("one", "two"))
    key_file.write_text(text)
    assert list(read_keys(key_file).values()) == ["twice", "twice"]
    assert first != second
    assert serve("--revoke-api-key", "twice").exit_code == 0
    assert read_keys(key_file) == {}


def test_file_without_last_line_break_gets_line_of_its_own(key_file, api_key):
    key_file.write_text(key_file.read_text().rstrip("\n"))
    make_key(key_file, "next")
    assert sorted(read_keys(key_file).values()) == ["next", "tests"]
