"""Rates, headers, logs, metrics, settings, and the index that lives."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from server_fakes import FakeEncoder, make_images, png, upload

import pyimgret_server
from pyimgret.index import Index
from pyimgret_server import Settings, create_app, logs
from pyimgret_server.keys import KeyFile, make_key
from pyimgret_server.limits import RateLimiter


def test_too_many_requests_are_429_with_time_to_wait(make_app):
    client = make_app(rate=2).test_client()
    answers = [client.post("/v1/search", json={"key": "a/1.png"}) for _ in range(6)]
    assert [a.status_code for a in answers[:4]] == [200] * 4
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert client.get("/v2/health/live").status_code == 200


def test_memory_of_clients_is_bounded():
    limiter = RateLimiter(1)
    for number in range(12_000):
        assert limiter.wait(str(number), 0.0) == 0
    assert len(limiter._buckets) == 10_000


def test_behind_proxy_client_and_prefix_are_forwarded_ones(make_app, api_key, key_file):
    app = make_app(rate=0.5, behind_proxy=True, writable=True, api_keys=key_file)
    headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Prefix": "/images",
        "Authorization": f"Bearer {api_key}",
    }
    form = upload(png(make_images(1)[0]), key="new")
    added = app.test_client().post("/v1/items", data=form, headers=headers)
    assert added.headers["Location"].startswith("/images/v1/items/")
    assert app.test_client().get("/v1/index", headers=headers).status_code == 429
    headers["X-Forwarded-For"] = "192.0.2.2"
    assert app.test_client().get("/v1/index", headers=headers).status_code == 200


def test_without_proxy_its_headers_are_not_believed(make_app):
    client = make_app(rate=0.5).test_client()
    for number in range(3):
        last = client.get("/v1/index", headers={"X-Forwarded-For": f"192.0.2.{number}"})
    assert last.status_code == 429


@pytest.mark.parametrize("path", ["/", "/v1/index", "/nowhere", "/assets/app.js", "/metrics"])
def test_every_answer_has_headers_of_security(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


def test_page_holds_no_inline_script_and_no_other_host():
    static = Path(pyimgret_server.__file__).parent / "static"
    files = {path.name: path.read_text() for path in static.iterdir()}
    page = files["index.html"]
    assert page.count("<script") == page.count('<script src="assets/') == 1
    assert " onclick" not in page
    assert " style=" not in page
    assert all("http://" not in t.replace("http://www.w3.org", "") for t in files.values())
    assert all("https://" not in text for text in files.values())
    assert "innerHTML" not in files["app.js"]
    assert sum(map(len, files.values())) < 60_000


def test_request_id_is_stored_when_it_is_harmless(client):
    assert client.get("/", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    odd = client.get("/", headers={"X-Request-Id": 'x" injected'}).headers["X-Request-Id"]
    assert odd != 'x" injected'


def test_log_line_is_json_and_holds_no_secret(writer, api_key):
    stream = io.StringIO()
    logs.configure(stream)
    try:
        form = upload(png(make_images(1)[0]), key="se\ncret-key")
        writer.post("/v1/items?token=hidden", data=form, headers={"X-Request-Id": "id-1"})
    finally:
        logging.getLogger("pyimgret_server").handlers = []
        logging.getLogger("pyimgret_server").propagate = True
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["request_id"], entry["status"], entry["route"]) == ("id-1", 201, "/v1/items")
    assert entry["key_name"] == "tests"
    assert not any(secret in line for secret in (api_key, "hidden", "cret-key"))


def test_metrics_count_requests_stages_and_batches(client):
    for _ in range(3):
        client.post("/v1/search", data=upload(png(make_images(1)[0])))
    client.get("/nowhere-1"), client.get("/nowhere-2")
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    asked = 'pyimgret_requests_total{method="POST",route="/v1/search",status="200"}'
    assert float(values[asked]) == 3
    unknown = 'pyimgret_requests_total{method="GET",route="(unknown)",status="404"}'
    assert float(values[unknown]) == 2
    for stage in ("decode", "encode_wait", "encode", "search_wait", "search"):
        assert float(values[f'pyimgret_stage_seconds_count{{stage="{stage}"}}']) >= 3
    assert float(values['pyimgret_batch_size_count{stage="encode"}']) >= 3
    assert float(values["pyimgret_index_items"]) == 30
    assert float(values["pyimgret_threads"]) > 2


def test_health_and_facts(client, index):
    assert client.get("/v2/health/ready").get_json() == {"live": True, "ready": True}
    facts = client.get("/v1/index").get_json()
    assert (facts["count"], facts["dimension"], facts["metric"]) == (30, 16, "cosine")
    assert facts["model_checksum"] == index.model_checksum
    assert not facts["writable"]


def test_item_of_another_process_is_found_at_once(client, index):
    code = (
        "import sys, numpy as np\nfrom pyimgret.index import Index\n"
        "with Index.open(sys.argv[1]) as index:\n"
        "    index.add(np.ones((1, 16), np.float32), keys=['from another process'])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(index.directory)], check=True)
    answer = client.post("/v1/search", json={"vector": [1.0] * 16, "k": 1})
    assert answer.get_json()["matches"][0]["key"] == "from another process"


def test_link_that_is_moved_leads_to_another_index_after_reload(tmp_path):
    for name, count in (("one", 3), ("two", 5)):
        with Index.create(tmp_path / name, dimension=4) as made:
            made.add([[1.0, 0, 0, n] for n in range(count)])
    link = tmp_path / "current"
    link.symlink_to("one")
    app = create_app(link, Settings())
    service, client = app.extensions["pyimgret"], app.test_client()
    link.unlink()
    link.symlink_to("two")
    assert client.get("/v1/index").get_json()["count"] == 3
    assert service.reload()
    assert client.get("/v1/index").get_json()["count"] == 5
    link.unlink()
    link.symlink_to("nowhere")
    assert not service.reload()
    assert client.get("/v1/index").get_json()["count"] == 5
    service.close()


def test_index_of_vectors_only_is_served_without_model(tmp_path):
    with Index.create(tmp_path / "vectors", dimension=4) as index:
        index.add([[1.0, 0, 0, 0]], keys=["x"])
        app = create_app(index)
        client = app.test_client()
        assert client.get("/v1/index").get_json()["model"] == ""
        found = client.post("/v1/search", json={"vector": [1.0, 1, 0, 0]})
        assert found.get_json()["matches"][0]["key"] == "x"
        answer = client.post("/v1/search", data=upload(png(make_images(1)[0])))
        assert answer.get_json()["type"].endswith("no-model")
        app.extensions["pyimgret"].close()


def test_published_copy_in_read_only_place_is_served(index, tmp_path):
    copy = tmp_path / "copy"
    index.publish(copy)
    for path in (*copy.iterdir(), copy):
        path.chmod(0o555 if path.is_dir() else 0o444)
    app = create_app(Index.open(copy, FakeEncoder()))
    answer = app.test_client().post("/v1/search", json={"key": "a/3.png", "k": 1})
    assert answer.get_json()["matches"][0]["key"] == "a/3.png"
    app.extensions["pyimgret"].close()
    copy.chmod(0o755)


def test_heat_maps_of_image_and_item(make_app, index):
    def explain(encoder, query, match):
        assert match == index.thumbnail("a/3.png").image
        return 0.5, make_images(1)[0] / 255, make_images(1)[0] / 255

    client = make_app(explainer=explain).test_client()
    assert client.get("/v1/index").get_json()["explain"]
    form = upload(png(make_images(1)[0]), id=index.get("a/3.png").id)
    answer = client.post("/v1/explain", data=form).get_json()
    assert (answer["score"], len(answer["query"]), len(answer["match"][0])) == (0.5, 8, 8)


def test_index_of_vectors_offers_no_heat_maps(tmp_path):
    with Index.create(tmp_path / "vectors", dimension=4) as index:
        index.add([[1.0, 0, 0, 0]], keys=["x"])
        app = create_app(index)
        assert not app.test_client().get("/v1/index").get_json()["explain"]
        form = upload(png(make_images(1)[0]), id=index.get("x").id)
        answer = app.test_client().post("/v1/explain", data=form)
        assert answer.get_json()["type"].endswith("no-explanation")
        app.extensions["pyimgret"].close()


def test_invalid_settings_are_explained(tmp_path):
    with pytest.raises(ValueError, match="--new-api-key"):
        Settings(writable=True)
    with pytest.raises(ValueError, match="max_k=0"):
        Settings(max_k=0)
    (tmp_path / "keys").write_text("# nothing yet\n")
    with pytest.raises(ValueError, match="contains no key"):
        KeyFile(tmp_path / "keys")
    (tmp_path / "keys").write_text("plain secret\n")
    with pytest.raises(ValueError, match="line 1"):
        KeyFile(tmp_path / "keys")
    with pytest.raises(ValueError, match="letters, digits"):
        make_key(tmp_path / "other", "a name")


def test_it_runs_on_read_only_root_with_read_only_home(index, tmp_path):
    """Nothing is written: no file is opened for writing while requests are answered."""
    copy = tmp_path / "copy"
    index.publish(copy)
    code = (
        "import sys, io, os\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from server_fakes import FakeEncoder, make_images, png, upload\n"
        "from pyimgret.index import Index\n"
        "from pyimgret_server import create_app\n"
        "app = create_app(Index.open(sys.argv[1], FakeEncoder()))\n"
        "def watch(event, given):\n"
        "    if event == 'open' and isinstance(given[2], int):\n"
        "        writes = given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)\n"
        "        assert not writes or str(given[0]) == os.devnull, given\n"
        "sys.addaudithook(watch)\n"
        "client = app.test_client()\n"
        "form = upload(png(make_images(1)[0]))\n"
        "assert client.post('/v1/search', data=form).status_code == 200\n"
        "large = upload(png(make_images(1)[0]) + bytes(400_000))\n"
        "assert client.post('/v1/search', data=large).status_code == 200\n"
        "assert client.get('/').status_code == 200\n"
        "app.extensions['pyimgret'].close()\n"
    )
    program = [sys.executable, "-B", "-c", code, str(copy), str(Path(__file__).parent)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_service_starts_no_jvm_and_loads_nothing_heavy():
    code = (
        "import sys, pyimgret_server\n"
        "print(sorted({'jnius', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
