"""A real browser, a served index of coloured images, and stored screenshots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browser_fakes import ColourEncoder, explain, fill
from browsers import NoBrowserError, start_browser

from pyimgret.index import Index
from pyimgret_server import Settings, create_app

_ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    from server_on_thread import served

    index = Index.create(tmp_path_factory.mktemp("browser") / "idx", ColourEncoder())
    fill(index)
    app = create_app(index, Settings(), explainer=explain)
    with served(app) as at:
        yield at


@pytest.fixture(scope="session")
def browser():
    try:
        driver = start_browser()
    except NoBrowserError as error:
        pytest.skip(str(error))
    yield driver
    driver.quit()


@pytest.fixture
def shot(request):
    """Keep a screenshot under the test's name."""
    folder = Path(os.environ.get("PYIMGRET_SCREENSHOTS", _ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def save(driver, name: str = "") -> Path:
        stem = request.node.name.removeprefix("test_") + (f"-{name}" if name else "")
        path = folder / f"{stem}.png"
        assert driver.save_screenshot(str(path))
        return path

    return save
