"""Which browser the tests drive, and the few things that each kind of browser does its own way."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys

from selenium import webdriver
from selenium.common.exceptions import WebDriverException

#: Kind of browser -> its programs, and the program that drives it.
BROWSERS = {
    "Chrome": (
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
        "chromedriver",
    ),
    "Edge": (("microsoft-edge", "microsoft-edge-stable", "msedge"), "msedgedriver"),
    "Firefox": (("firefox", "firefox-esr"), "geckodriver"),
}
INSTALL = {
    "darwin": "brew install --cask google-chrome",
    "win32": "winget install Google.Chrome",
}.get(sys.platform, "sudo apt-get install chromium chromium-driver")

_CHROMIUM = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_CHROMIUM += ["--window-size=1280,900", "--force-device-scale-factor=1", "--hide-scrollbars"]
#: The second lets a test switch to dark mode.
_FIREFOX = ["-headless", "-remote-allow-system-access"]


class NoBrowserError(Exception):
    """There is no browser on this machine, and none can be fetched."""


def start_browser():
    """Start the first browser on the PATH that can be driven, or one that Selenium fetches.

    Raises
    ------
    NoBrowserError
        In one line, with what was tried and the command that installs a browser.
    """
    # NB: read by Selenium's manager; behind a firewall it would wait five minutes a request.
    os.environ.setdefault("SE_TIMEOUT", "120")
    os.environ.setdefault("SE_AVOID_STATS", "true")
    reasons = []
    for kind, program in _candidates():
        try:
            return _start(kind, program)
        except WebDriverException as error:
            said = (error.msg or type(error).__name__).split(";")[0].splitlines()[0]
            reasons.append(f"{program or f'{kind}, to be fetched'}: {said}")
    raise NoBrowserError(f"no browser; install one with: {INSTALL} ({'; '.join(reasons)})")


def _candidates() -> list[tuple[str, str | None]]:
    found = [(kind, shutil.which(name)) for kind, (names, _) in BROWSERS.items() for name in names]
    # NB: Chrome for Testing is not built for Linux on ARM.
    fetched = "Firefox" if platform.machine().lower() in {"aarch64", "arm64"} else "Chrome"
    return [*((kind, program) for kind, program in found if program), (fetched, None)]


def _start(kind: str, program: str | None):
    options = getattr(webdriver, f"{kind}Options")()
    for argument in _FIREFOX if kind == "Firefox" else _CHROMIUM:
        options.add_argument(argument)
    if kind == "Firefox":
        options.enable_bidi = True
    else:
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if program:
        options.binary_location = program
    # NB: with the driver named, Selenium looks for none on the network.
    driver = shutil.which(BROWSERS[kind][1]) if program else None
    browser = getattr(webdriver, kind)(options, getattr(webdriver, f"{kind}Service")(driver))
    if kind == "Firefox":
        browser.errors = []
        browser.script.add_javascript_error_handler(lambda e: browser.errors.append(e.text))
    return browser


def errors_of_page(browser) -> list[str]:
    """Return the errors in scripts and the broken rules of the CSP since the last call."""
    if browser.name == "firefox":
        errors, browser.errors[:] = list(browser.errors), []
        return errors
    messages = [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    # NB: an answer of 4xx is logged by the browser itself; a broken rule of the CSP would be too.
    return [message for message in messages if "Failed to load resource" not in message]


def thumbnails_loaded(browser) -> bool:
    """Say whether all thumbnails in sight are there."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.card img')]"
        ".filter((image) => image.getBoundingClientRect().top < innerHeight)"
        ".every((image) => image.complete && image.naturalWidth)"
    )


@contextlib.contextmanager
def phone(browser):
    """Show the page as on a phone."""
    if browser.name == "firefox":
        tab = browser.current_window_handle
        size = {"width": 390, "height": 844}
        browser.browsing_context.set_viewport(tab, viewport=size, device_pixel_ratio=2)
        yield
        browser.browsing_context.set_viewport(tab, viewport=None, device_pixel_ratio=None)
        return
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextlib.contextmanager
def dark_mode(browser):
    """Tell the page that its reader prefers dark colours."""
    if browser.name == "firefox":
        setting = "'layout.css.prefers-color-scheme.content-override'"
        with browser.context("chrome"):
            browser.execute_script(f"Services.prefs.setIntPref({setting}, 0)")
        yield
        with browser.context("chrome"):
            browser.execute_script(f"Services.prefs.clearUserPref({setting})")
        return
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
