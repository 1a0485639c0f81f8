"""The images: what is drawn, where, and in which colour."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from pyimgret.exceptions import DimensionMismatchError
from pyimgret.visualization import (
    plot_confusion_matrix,
    plot_embedding,
    plot_history,
    plot_matches,
    plot_reconstructions,
    plot_weights,
    style,
)

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (12, 28, 28)).astype(np.uint8)


def drawn(figure):
    """Render a figure, and return its pixels."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def frame(axes):
    return to_hex(axes.spines["top"].get_edgecolor())


def test_drawing_opens_no_window_and_leaves_pyplot_alone():
    code = (
        "import sys, numpy as np, pyimgret.visualization as v\n"
        "print('matplotlib' in sys.modules)\n"
        "v.plot_weights(np.ones((4, 4))).savefig('/dev/null', format='png')\n"
        "v.plot_history({'loss': [1.0]})\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# -- matches -------------------------------------------------------------------------


def test_matches_stand_beside_their_query_with_scores_and_frames():
    figure = plot_matches(
        DIGITS[:2],
        DIGITS[2:8].reshape(2, 3, 28, 28),
        scores=[[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]],
        query_labels=[1, 2],
        match_labels=[[1, 2, 1], [2, 2, 3]],
        title="Nearest",
    )
    axes = figure.axes
    assert len(axes) == 2 * (1 + 3)
    for place, image in enumerate([0, 2, 3, 4, 1, 5, 6, 7]):
        np.testing.assert_array_equal(axes[place].images[0].get_array(), DIGITS[image])
    assert [a.get_xlabel() for a in axes] == [
        "",
        "0.900",
        "0.800",
        "0.700",
        "",
        "0.600",
        "0.500",
        "0.400",
    ]
    right, wrong = style.CORRECT, style.INCORRECT
    assert [frame(a) for a in axes[1:4]] == [right, wrong, right]
    assert [frame(a) for a in axes[5:]] == [right, right, wrong]
    assert axes[0].get_title() == "query"
    written = [text.get_text() for text in figure.texts]
    assert written == ["Nearest", "red: another class", "green: same class"]
    assert drawn(figure).min() < 50


def test_matches_of_many_kinds_and_shapes(tmp_path):
    Image.fromarray(RNG.integers(0, 256, (30, 60, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    figure = plot_matches(
        [tmp_path / "a.png"], [[content, DIGITS[0], Image.new("RGB", (5, 9)), tmp_path / "a.png"]]
    )
    sizes = [axes.images[0].get_array().shape[:2] for axes in figure.axes]
    assert sizes == [(60, 60), (60, 60), (28, 28), (9, 9), (60, 60)]
    assert {frame(axes) for axes in figure.axes[1:]} == {style.GRID}
    drawn(figure)


def test_queries_with_different_numbers_of_matches():
    figure = plot_matches(DIGITS[:2], [DIGITS[2:5], DIGITS[5:6]], scores=[[1, 0.5, 0], [1]])
    assert len(figure.axes) == 2 + 3 + 1
    drawn(figure)


def test_matches_that_do_not_fit_are_rejected():
    with pytest.raises(DimensionMismatchError, match="2 queries with 1 lists"):
        plot_matches(DIGITS[:2], [DIGITS[2:4]])


# -- weights -------------------------------------------------------------------------


def tiles_of(figure, side, gap, count):
    image = figure.axes[0].images[0].get_array()
    columns = (image.shape[1] - gap) // (side + gap)
    starts = [
        (gap + n // columns * (side + gap), gap + n % columns * (side + gap)) for n in range(count)
    ]
    return np.stack([image[top : top + side, left : left + side] for top, left in starts])


def test_each_tile_has_its_own_symmetric_scale():
    W = RNG.normal(size=(784, 9)) * np.arange(1, 10)
    tiles = tiles_of(plot_weights(W), 28, 2, 9)
    for number in range(9):
        expected = 0.5 + W[:, number].reshape(28, 28) / np.abs(W[:, number]).max() / 2
        np.testing.assert_allclose(tiles[number], expected)


def test_one_scale_for_all_tiles_keeps_weak_ones_grey():
    W = np.stack([np.full(16, 2.0), np.full(16, -0.5)], axis=1)
    tiles = tiles_of(plot_weights(W, scale="global"), 4, 1, 2)
    np.testing.assert_allclose(tiles[:, 0, 0], [1.0, 0.375])


def test_strongest_units_are_drawn_in_their_own_order():
    W = np.ones((16, 6)) * [1, 9, 2, 8, 3, 7]
    tiles = tiles_of(plot_weights(W, n=3, scale="global"), 4, 1, 3)
    np.testing.assert_allclose(tiles[:, 0, 0], 0.5 + np.array([9, 8, 7]) / 18)


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        (np.zeros((784, 4)), None),  # no division by zero
        (RNG.normal(size=(27, 4)), (3, 3, 3)),
        (RNG.normal(size=(12, 4)), (3, 4)),
        (RNG.normal(size=(8, 1, 5, 5)), None),
        (RNG.normal(size=(8, 3, 5, 5)), None),
    ],
)
def test_weights_of_dense_layers_and_convolutions(weights, shape):
    image = drawn(plot_weights(weights, shape=shape, title="W"))
    assert image.std() > 10


def test_colour_filters_keep_their_channels():
    W = np.zeros((1, 3, 2, 2))
    W[0, 0] = 1.0  # red only
    image = plot_weights(W).axes[0].images[0].get_array()
    np.testing.assert_allclose(image[1, 1], [1.0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("weights", "shape", "message"),
    [
        (np.zeros((10, 4)), None, "10 inputs do not form an image"),
        (np.zeros((16, 4)), (5, 5), "give shape"),
        (np.zeros((4, 7, 5, 5)), None, "cannot be plotted"),
        (np.zeros(5), None, "cannot be plotted"),
    ],
)
def test_weights_that_are_not_images_are_rejected(weights, shape, message):
    with pytest.raises(DimensionMismatchError, match=message):
        plot_weights(weights, shape=shape)


def test_unknown_scale_lists_known_ones():
    with pytest.raises(ValueError, match="choose 'tile' or 'global'"):
        plot_weights(np.ones((4, 4)), scale="row")


# -- reconstructions -----------------------------------------------------------------


def test_reconstructions_are_rows_beneath_originals():
    figure = plot_reconstructions(
        DIGITS[:4],
        {"PCA": DIGITS[4:8] / 255 * 2 - 0.5, "autoencoder": DIGITS[8:]},
        errors={"PCA": 0.0123},
        title="30 numbers",
    )
    assert len(figure.axes) == 12
    assert [figure.axes[i].get_ylabel() for i in (0, 4, 8)] == [
        "original",
        "PCA\n0.0123",
        "autoencoder",
    ]
    shown = figure.axes[4].images[0].get_array()
    assert (shown.min(), shown.max()) == (0, 255)  # clipped
    np.testing.assert_array_equal(figure.axes[9].images[0].get_array(), DIGITS[9])
    drawn(figure)


def test_row_of_another_length_is_named():
    with pytest.raises(DimensionMismatchError, match="4 images, but a different number of 'PCA'"):
        plot_reconstructions(DIGITS[:4], {"PCA": DIGITS[:3]})


# -- charts --------------------------------------------------------------------------


def test_history_draws_each_loss_and_marks_best_epoch():
    figure = plot_history({"loss": [3, 2, 1], "val_loss": [3, 1, 2], "seconds": [9]}, log=True)
    lines = figure.axes[0].lines
    assert [tuple(line.get_xdata()) for line in lines] == [(1, 2, 3), (3,), (1, 2, 3), (2,)]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "loss",
        "val loss",
    ]
    assert figure.axes[0].get_yscale() == "log"
    drawn(figure)


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"seconds": [1.0]}])
def test_history_without_loss_is_rejected(history):
    with pytest.raises(ValueError, match="fit the model first"):
        plot_history(history)


def test_map_in_two_dimensions_is_drawn_as_it_is():
    points = RNG.normal(size=(30, 2))
    labels = np.repeat(["a", "b", "c"], 10)
    axes = plot_embedding(points, labels, title="map").axes[0]
    np.testing.assert_allclose(axes.collections[1].get_offsets(), points[10:20])
    assert texts(axes) == ["a", "b", "c"]
    assert len({to_hex(c.get_facecolor()[0]) for c in axes.collections}) == 3


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_map_keeps_far_groups_apart(method):
    centres = np.eye(5)[:3] * 10
    points = np.repeat(centres, 15, axis=0) + RNG.normal(size=(45, 5)) * 0.1
    axes = plot_embedding(points, np.repeat([0, 1, 2], 15), method=method).axes[0]
    flat = np.stack([np.asarray(c.get_offsets()) for c in axes.collections])
    spread = flat.std(axis=1).max()
    middles = flat.mean(axis=1)
    distances = np.linalg.norm(middles[:, None] - middles[None], axis=2)[np.triu_indices(3, 1)]
    assert distances.min() > 3 * spread


def test_map_without_labels_and_of_few_points():
    axes = plot_embedding(RNG.normal(size=(3, 8))).axes[0]
    assert texts(axes) == []
    assert len(axes.collections[0].get_offsets()) == 3


def test_maps_that_cannot_be_drawn_are_rejected():
    with pytest.raises(DimensionMismatchError, match="3 points, but 2 labels"):
        plot_embedding(np.eye(3), [1, 2])
    with pytest.raises(DimensionMismatchError, match="expected"):
        plot_embedding(np.ones((3, 1)))
    with pytest.raises(ValueError, match="choose 'tsne' or 'pca'"):
        plot_embedding(np.eye(3), method="umap")


def test_confusion_matrix_counts_rows_as_truth():
    axes = plot_confusion_matrix(["a", "a", "b", "c"], ["a", "b", "b", "a"]).axes[0]
    expected = [[0.5, 0.5, 0], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_array_equal(axes.images[0].get_array(), expected)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b", "c"]
    assert texts(axes) == ["1", "1", "1", "1"]


def test_confusion_matrix_of_many_classes_has_no_numbers():
    labels = np.arange(60)
    figure = plot_confusion_matrix(labels, labels[::-1], title="many")
    assert texts(figure.axes[0]) == []
    drawn(figure)


def test_labels_and_predictions_must_pair():
    with pytest.raises(DimensionMismatchError, match="2 labels with 1 predictions"):
        plot_confusion_matrix([1, 2], [1])


def test_without_matplotlib_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib.figure'] = None\n"
        "import pyimgret.visualization as v\n"
        "try: v.plot_history({'loss': [1.0]})\n"
        "except Exception as e: print(type(e).__name__, e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingExtraError")
    assert "pip install 'pyimgret[demo]'" in done.stdout
