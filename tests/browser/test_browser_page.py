"""The page in a real browser: every way in, and what a person sees."""

from __future__ import annotations

import base64

import pytest
from browser_fakes import NASTY, ColourEncoder, jpeg, scene, use_case
from browsers import dark_mode, errors_of_page, phone, thumbnails_loaded
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from server_on_thread import served

from pyimgret.index import Index
from pyimgret_server import create_app


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "beach.jpg"
    path.write_bytes(jpeg(scene("sea", 0.55, 7)))
    return path


@pytest.fixture
def page(browser, address):
    browser.set_window_size(1280, 900)
    browser.get("about:blank")
    browser.get(f"{address}/")
    until(browser, lambda: "images" in text(browser, "facts"))
    yield browser
    assert errors_of_page(browser) == []
    assert browser.execute_script("return window.hacked") is None


def test_broken_rule_of_security_policy_is_seen(browser, address):
    browser.get(f"{address}/")
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'hacked = 1';"
        "document.body.append(script)"
    )
    [error] = until(browser, lambda: errors_of_page(browser))
    assert "script-src" in error
    assert browser.execute_script("return window.hacked") is None


def until(driver, condition, seconds: float = 15):
    return WebDriverWait(driver, seconds).until(lambda _: condition())


def text(driver, identifier: str) -> str:
    return driver.find_element(By.ID, identifier).text


def keys(driver) -> list[str]:
    # NB: read in one step, for the cards may be replaced at any moment.
    return driver.execute_script(
        "return [...document.querySelectorAll('.card .key')].map((e) => e.textContent)"
    )


def searched(driver, count: int | None = None) -> list[str]:
    """Wait for results with all their thumbnails, and return the keys."""
    until(driver, lambda: " ms" in text(driver, "status") and keys(driver))
    until(driver, lambda: thumbnails_loaded(driver))
    if count is not None:
        assert len(keys(driver)) == count
    return keys(driver)


def give(driver, path) -> None:
    driver.find_element(By.ID, "file").send_keys(str(path))


def fire(driver, kind: str, content: bytes, name: str, media_type: str) -> None:
    """Paste or drop a file, as the browser's events bring it."""
    driver.execute_script(
        """
        const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0));
        const file = new File([bytes], arguments[2], {type: arguments[3]});
        const data = new DataTransfer();
        data.items.add(file);
        const more = {bubbles: true, cancelable: true};
        const event = arguments[0] === 'paste'
          ? new ClipboardEvent('paste', {clipboardData: data, ...more})
          : new DragEvent('drop', {dataTransfer: data, ...more});
        // Firefox gives a made paste an empty clipboard of its own.
        if (event.clipboardData && !event.clipboardData.files.length)
          event.clipboardData.items.add(file);
        document.body.dispatchEvent(event);
        """,
        kind,
        base64.b64encode(content).decode(),
        name,
        media_type,
    )


def fill_in(driver, identifier: str, value: str) -> None:
    field = driver.find_element(By.ID, identifier)
    field.clear()
    field.send_keys(value, Keys.ENTER)


def test_first_sight(page, shot):
    assert "49 images" in text(page, "facts")
    shot(page)


def test_upload_shows_nearest_with_scores(page, image, shot):
    give(page, image)
    assert searched(page, 12)[0].startswith("sea/")
    scores = [float(b.text) for b in page.find_elements(By.CSS_SELECTOR, ".score b")]
    assert scores == sorted(scores, reverse=True)
    assert text(page, "caption") == "beach.jpg"
    shot(page)


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_image_can_be(page, shot, kind):
    fire(page, kind, jpeg(scene("mountain", 0.31, 8)), "alps.jpg", "image/jpeg")
    assert searched(page)[0].startswith("mountain/")
    shot(page)


def test_click_through_and_back(page, image, shot):
    give(page, image)
    first = searched(page)[3]
    page.find_elements(By.CSS_SELECTOR, ".card .open")[3].click()
    until(page, lambda: text(page, "caption") == first)
    until(page, lambda: first not in searched(page))
    assert "key=" in page.current_url
    shot(page)
    page.refresh()
    until(page, lambda: text(page, "caption") == first)


def test_filter_number_and_least_score(page, image, shot):
    give(page, image)
    searched(page)
    fill_in(page, "where", "kind == 'town' and year >= 2010")
    until(page, lambda: all(key.startswith("town/") for key in searched(page)))
    fill_in(page, "k", "3")
    until(page, lambda: len(keys(page)) == 3)
    shot(page)
    fill_in(page, "where", "kind ==")
    until(page, lambda: text(page, "error").startswith("The filter:"))
    shot(page, "mistake")
    fill_in(page, "where", "kind == 'harbour'")
    until(page, lambda: "No matches" in text(page, "status"))


def test_broken_file_is_explained_in_words(page, tmp_path, shot):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"this is not an image at all")
    give(page, broken)
    until(page, lambda: "cannot be read as an image" in text(page, "error"))
    assert not keys(page)
    shot(page)


def test_phone_width(page, image, shot):
    with phone(page):
        give(page, image)
        searched(page)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        shot(page, "top")
        page.execute_script("document.getElementById('results').scrollIntoView()")
        searched(page)
        shot(page, "results")


def test_dark(page, image, shot):
    with dark_mode(page):
        give(page, image)
        searched(page)
        ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(17, 20, 28)"
        shot(page)


def test_script_in_metadata_is_shown_as_text(page, shot):
    page.find_element(By.ID, "where").send_keys("exists(title)")
    fire(page, "drop", jpeg(scene("sea", 0.03, 99)), "sea.jpg", "image/jpeg")
    assert searched(page, 1) == [f"nasty/{NASTY}.jpg"]
    assert NASTY in page.find_element(By.CSS_SELECTOR, ".metadata").get_attribute("textContent")
    shot(page)


def test_search_by_region_with_keyboard(page, image, shot):
    give(page, image)
    before = searched(page)
    page.find_element(By.ID, "crop").click()
    region = page.switch_to.active_element
    assert region.get_attribute("id") == "region"
    for _ in range(5):
        region.send_keys(Keys.ARROW_DOWN)
    region.send_keys(Keys.SHIFT, Keys.ARROW_UP)
    region.send_keys(Keys.ENTER)
    until(page, lambda: searched(page) != before)
    assert "top 50 %" in region.get_attribute("aria-valuetext")
    shot(page)


def test_heat_maps_of_match(page, image, shot):
    give(page, image)
    searched(page)
    page.find_element(By.CSS_SELECTOR, ".card .explain").click()
    until(page, lambda: page.find_element(By.ID, "why").is_displayed())
    assert "0.875" in text(page, "why-text")
    middle = page.execute_script(
        "return [...document.getElementById('map-match').getContext('2d')"
        ".getImageData(160, 160, 1, 1).data]"
    )
    assert middle[0] > 180  # glowing
    assert middle[2] < 120
    shot(page)
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(page, lambda: not page.find_element(By.ID, "why").is_displayed())


def test_everything_can_be_reached_by_keyboard_and_has_name(page, image):
    give(page, image)
    searched(page)
    page.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    reached = set()
    for _ in range(40):
        ActionChains(page).send_keys(Keys.TAB).perform()
        focused = page.switch_to.active_element
        reached.add(focused.get_attribute("id") or focused.get_attribute("class"))
        assert focused.accessible_name or focused.tag_name == "body"
    assert {"file", "crop", "k", "least", "where", "open"} <= reached
    assert all(
        image.get_attribute("alt") is not None for image in page.find_elements(By.TAG_NAME, "img")
    )


def test_page_is_small_and_loads_from_its_own_host_only(page):
    loaded = page.execute_script(
        "return performance.getEntriesByType('resource').map(e => [e.name, e.decodedBodySize])"
    )
    assert all(name.startswith(page.current_url.split("#")[0]) for name, _ in loaded)
    size = page.execute_script(
        "return performance.getEntriesByType('navigation')[0].decodedBodySize"
    ) + sum(bytes_ for name, bytes_ in loaded if "/assets/" in name)
    assert 5_000 < size < 60_000


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("places", "kind == 'sea' and year >= 2010"),
        ("products", "stock > 0 and price < 40"),
        ("listings", "price <= 350000 and rooms >= 3"),
    ],
)
def test_worked_use(browser, tmp_path, shot, name, where):
    with Index.create(tmp_path / "idx", ColourEncoder()) as index:
        query = use_case(index, name)
        with served(create_app(index)) as address:
            browser.set_window_size(1180, 860)
            browser.get(f"{address}/")
            until(browser, lambda: "54 images" in text(browser, "facts"))
            browser.find_element(By.ID, "where").send_keys(where)
            fire(browser, "drop", jpeg(query), "query.jpg", "image/jpeg")
            found = searched(browser)
            shot(browser)
        allowed = index.search(jpeg(query), k=12, where=where)
    assert found == allowed.keys
