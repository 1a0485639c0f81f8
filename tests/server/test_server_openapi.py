"""The OpenAPI document: complete and correct (schemathesis sends valid and invalid requests)."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from server_fakes import FakeEncoder, make_images

from pyimgret.index import Index
from pyimgret_server import Settings, create_app
from pyimgret_server.keys import make_key

CHECKS = (
    negative_data_rejection,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    ignored_auth,
    unsupported_method,
    allow_header_conformance,
)
OPERATIONS = {
    ("POST", "/v1/search"),
    ("POST", "/v1/embed"),
    ("POST", "/v1/explain"),
    ("GET", "/v1/items"),
    ("POST", "/v1/items"),
    ("GET", "/v1/items/{id}"),
    ("DELETE", "/v1/items/{id}"),
    ("GET", "/v1/items/{id}/thumbnail"),
    ("GET", "/v1/index"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2/health/ready"),
}
# NB: where nothing is sent, nothing can be wrong.
NOTHING_TO_SEND = ("/v1/index", "/v2/health/live", "/v2/health/ready")
QUESTIONS = [
    pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
    for method, path in sorted(OPERATIONS)
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or path not in NOTHING_TO_SEND
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    key = make_key(folder / "keys", "schemathesis")
    index = Index.create(folder / "idx", FakeEncoder())
    index.add(list(make_images(10)), keys=[f"a/{n}.png" for n in range(10)])
    app = create_app(
        index,
        Settings(writable=True, api_keys=folder / "keys"),
        explainer=lambda *_: (0.5, make_images(1)[0] / 255, make_images(1)[0] / 255),
    )
    yield app, key
    app.extensions["pyimgret"].close()


@pytest.fixture(scope="module")
def documented(service):
    return schemathesis.openapi.from_wsgi("/openapi.json", service[0])


@pytest.mark.parametrize("examples", [25, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "path", "mode"), QUESTIONS)
def test_every_answer_conforms(service, documented, method, path, mode, examples):
    """Send what the document allows, or what it forbids; look at each answer."""

    @settings(
        max_examples=examples,
        derandomize=examples < 100,
        deadline=None,
        database=None,
        suppress_health_check=HealthCheck,
    )
    @given(documented[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        case.headers["Authorization"] = f"Bearer {service[1]}"
        # NB: in a form, a list of one value is the same bytes as the value.
        told_apart = case.media_type != "multipart/form-data"
        case.call_and_validate(checks=CHECKS if told_apart else CHECKS[1:])

    ask()


def test_document_names_every_operation_and_its_errors(service):
    document = service[0].test_client().get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    found = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    assert found == OPERATIONS
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            errors = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"400", "429", "503"} <= set(errors), path
            assert all("application/problem+json" in r["content"] for r in errors.values())
    bodies = document["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json"}
