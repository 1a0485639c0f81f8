"""A real Chromium, a served index of coloured pictures, and screenshots that are kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from browser_fakes import ColourEncoder, explain, fill
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as Driver

from pyimgret.index import Index
from pyimgret_server import Settings, create_app

_ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"none of {names} is installed (Debian: apt-get install chromium chromium-driver)"
    return found


def start_browser(*, dark: bool = False):
    options = Options()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    arguments += ["--window-size=1280,900", "--force-device-scale-factor=1", "--hide-scrollbars"]
    if dark:
        arguments.append("--force-dark-mode")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # NB: with the driver named, Selenium looks for none on the network.
    return webdriver.Chrome(options, Driver(_program("chromedriver")))


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    from server_on_thread import served

    index = Index.create(tmp_path_factory.mktemp("browser") / "idx", ColourEncoder())
    fill(index)
    app = create_app(index, Settings(), explainer=explain)
    with served(app) as at:
        yield at


@pytest.fixture(scope="session")
def chromium():
    driver = start_browser()
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
