"""Make the images of README.md and server/README.md, in server/images.

Usage: PYTHONPATH=tests/server python tests/browser/make_images.py DEMO

DEMO is the folder that ``pyimgret demo`` has written. ``results.png`` shows what its
autoencoder and MobileNetV2 find, ``explain.png`` is the figure of ``search --explain``,
``reconstructions.png`` is the demo's, and the others are screenshots of the page. What they
show beside the digits is drawn here, so that no licence applies.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from browser_fakes import ColourEncoder, house, jpeg, product, scene, use_case
from browsers import start_browser, thumbnails_loaded
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageOps
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from server_on_thread import served

from pyimgret import Encoder, Index
from pyimgret.cli.demo import load_split
from pyimgret.explain import explain, plot_explanation
from pyimgret.index import Matches
from pyimgret.pretrained import mobilenet_v2
from pyimgret_server import create_app

OUT = Path(__file__).resolve().parents[2] / "server" / "images"
USES = {
    "places": "kind == 'sea' and year >= 2010",
    "products": "stock > 0 and price < 40",
    "listings": "price <= 350000 and rooms >= 3",
}
"""The uses of server/README.md, with their filters."""
DIGITS = (2, 4, 6, 8)
KINDS = {
    scene: ("mountain", "sea", "town"),
    product: ("mug", "bottle", "lamp"),
    house: ("cottage", "villa", "flats"),
}
QUERIES = {
    "sea": (scene, 0.53, 7),
    "lamp": (product, 0.02, 8),
    "villa": (house, 0.12, 9),
    "town": (scene, 0.7, 10),
}
#: Lengths, in sides of an image: between images, after the query, between the panels, of the
#: heading, of a caption.
GAP, AFTER_QUERY, BETWEEN, HEADING, CAPTION, MARGIN = 0.10, 0.34, 0.75, 0.62, 0.26, 0.2
PANEL = 6 + AFTER_QUERY + 4 * GAP
WIDTH = 2 * PANEL + BETWEEN + 2 * MARGIN
HEIGHT = HEADING + 4 * (1 + CAPTION) + 0.12
INK, BLUE, RED, GREY, LINE = "#1b2138", "#3b5bdb", "#d64545", "#868e96", "#ced4da"


class Found(NamedTuple):
    """One match: its image, its score, and whether it has the query's class."""

    image: NDArray[np.uint8]
    score: float
    correct: bool


class Row(NamedTuple):
    """A query and what was found."""

    query: NDArray[np.uint8]
    matches: list[Found]


def digit_rows(demo: Path) -> list[Row]:
    """Search the demo's index by the first query of some classes."""
    split = load_split()
    rows = []
    with Index.open(demo / "index") as index:
        for digit in DIGITS:
            query = split.queries[np.flatnonzero(split.query_labels == digit)[0]]
            matches = index.search(query, k=5)
            places = [int(match.key.removeprefix("digit-")) for match in matches]
            labels = split.database_labels[places] == digit
            images = 255 - split.database[places]
            found = map(Found, images, matches.scores, labels.tolist())
            rows.append(Row(255 - query, list(found)))
    return rows


def drawing_rows(folder: Path) -> list[Row]:
    """Search drawings by MobileNetV2."""
    for draw, kinds in KINDS.items():
        for kind in kinds:
            (folder / kind).mkdir()
            for n in range(16):
                draw(kind, n / 16, 100 + n).save(folder / kind / f"{n:02}.png")
    with Index.create(folder / "idx", mobilenet_v2()) as index:
        for kinds in KINDS.values():
            for kind in kinds:
                index.sync(folder / kind, prefix=f"{kind}/")
        rows = []
        for kind, (draw, hue, seed) in QUERIES.items():
            query = draw(kind, hue, seed)
            rows.append(Row(square(query), _found(folder, kind, index.search(query, k=5))))
    return rows


def _found(folder: Path, kind: str, matches: Matches) -> list[Found]:
    return [
        Found(square(Image.open(folder / m.key)), m.score, m.key.startswith(f"{kind}/"))
        for m in matches
    ]


def square(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.fit(image.convert("RGB"), (140, 140)))


def draw_panel(figure: Figure, left: float, title: str, rows: list[Row]) -> None:
    """Draw the rows of one model; lengths are in sides of an image."""

    def text(x: float, y: float, words: str, **style: object) -> None:
        figure.text(x / WIDTH, 1 - y / HEIGHT, words, va="center", **style)

    def place(image: NDArray[np.uint8], x: float, y: float, colour: str, width: float) -> None:
        axes = figure.add_axes((x / WIDTH, 1 - (y + 1) / HEIGHT, 1 / WIDTH, 1 / HEIGHT))
        axes.set(xticks=[], yticks=[])
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.spines[:].set(color=colour, linewidth=width)

    text(left, 0.17, title, color=INK, fontsize=12.5, weight="bold")
    text(left + 0.5, 0.47, "query", color=BLUE, fontsize=10, weight="bold", ha="center")
    text(left + 1 + AFTER_QUERY, 0.47, "most similar, with cosine", color=GREY, fontsize=10)
    for number, row in enumerate(rows):
        top = HEADING + number * (1 + CAPTION)
        place(row.query, left, top, BLUE, 2.6)
        for column, (image, score, correct) in enumerate(row.matches):
            x = left + 1 + AFTER_QUERY + column * (1 + GAP)
            place(image, x, top, LINE if correct else RED, 1 if correct else 2.2)
            style = {"color": GREY} if correct else {"color": RED, "weight": "bold"}
            text(x + 0.5, top + 1.125, f"{score:.3f}", fontsize=9.5, ha="center", **style)


def draw_results(demo: Path) -> None:
    figure = Figure(figsize=(WIDTH * 0.86, HEIGHT * 0.86), dpi=100, facecolor="white")
    title = "Digits · autoencoder, 30 numbers, no labels"
    draw_panel(figure, MARGIN, title, digit_rows(demo))
    with tempfile.TemporaryDirectory() as folder:
        rows = drawing_rows(Path(folder))
    title = "Drawings · MobileNetV2, no training"
    draw_panel(figure, MARGIN + PANEL + BETWEEN, title, rows)
    figure.savefig(OUT / "results.png")


def draw_explanation() -> None:
    query, match = product("mug", 0.6, 5), product("mug", 0.06, 8)
    found = explain(Encoder(mobilenet_v2()), query, match)
    plot_explanation(found, query, match).savefig(OUT / "explain.png", dpi=120)


def take_screenshots(folder: Path) -> None:
    """Search on the page for each use, and keep what it then shows."""
    browser = start_browser()
    browser.set_window_size(1180, 920)
    for name, where in USES.items():
        with Index.create(folder / name, ColourEncoder()) as index:
            query = folder / "query.jpg"
            query.write_bytes(jpeg(use_case(index, name)))
            with served(create_app(index)) as address:
                browser.get(f"{address}/")
                browser.find_element(By.ID, "where").send_keys(where)
                browser.find_element(By.ID, "file").send_keys(str(query))
                WebDriverWait(browser, 15).until(
                    lambda _: " ms" in browser.find_element(By.ID, "status").text
                )
                WebDriverWait(browser, 15).until(thumbnails_loaded)
                browser.save_screenshot(str(OUT / f"{name}.png"))
    browser.quit()


def main(demo: Path) -> None:
    draw_results(demo)
    draw_explanation()
    shutil.copy(demo / "reconstructions.png", OUT)
    with tempfile.TemporaryDirectory() as folder:
        take_screenshots(Path(folder))
    for path in OUT.glob("*.png"):
        Image.open(path).convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
