"""Damage to images, and what a report makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyimgret.cli.evaluate import noise_table
from pyimgret.evaluation import LEVELS, NoiseReport, damage, noise_report, was_trained_against
from pyimgret.visualization import plot_noise


class Model:
    """Says what it was trained against, and encodes by every second pixel."""

    noise = 0.15
    rotation = 10.0
    shift = 0.0

    def encode(self, images):
        return images.reshape(len(images), -1)[:, ::2].astype(np.float32)


@pytest.fixture(scope="module")
def report(shuffled_digits) -> NoiseReport:
    images, labels = (part[:400] for part in shuffled_digits)
    levels = {"gaussian": (0.1, 1.0), "occlusion": (0.5,), "rotation": (10, 45)}
    return noise_report({"half": Model()}, images, labels, queries=150, levels=levels)


@pytest.mark.parametrize("kind", LEVELS)
def test_damage_is_repeatable_and_leaves_its_input(kind, digits):
    before = digits.copy()
    first, second, third = (damage(digits, kind, 0.3, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(digits, before)
    assert first.dtype == np.uint8
    assert first.shape == digits.shape
    if kind != "shift":
        assert (first != third).any()
    np.testing.assert_array_equal(damage(digits, kind, 0), digits)


@pytest.mark.parametrize("kind", LEVELS)
def test_more_is_worse(kind, digits):
    slight, heavy = (
        np.abs(damage(digits, kind, level).astype(int) - digits).mean()
        for level in (LEVELS[kind][0], LEVELS[kind][-1])
    )
    assert 0 < slight < heavy


@pytest.mark.parametrize("kind", LEVELS)
def test_colour_is_damaged_too(kind):
    images = np.random.default_rng(0).integers(256, size=(4, 10, 12, 3)).astype(np.uint8)
    worse = damage(images, kind, LEVELS[kind][-1])
    assert worse.shape == images.shape
    assert (worse != images).any(axis=(1, 2, 3)).all()


def test_each_damage_is_what_it_says():
    grey = np.full((200, 20, 20), 128, np.uint8)
    assert np.std(damage(grey, "gaussian", 0.1) / 255) == pytest.approx(0.1, rel=0.05)
    spots = damage(grey, "salt and pepper", 0.2)
    assert (spots == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (spots == 255).mean() == pytest.approx(0.1, abs=0.01)
    assert ((damage(grey, "occlusion", 0.25) == 0).sum(axis=(1, 2)) == 25).all()
    point = np.zeros((50, 21, 21), np.uint8)
    point[:, 10, 10] = 255
    moved = np.argwhere(damage(point, "shift", 3))[:, 1:] - 10
    assert len(moved) == 50
    assert np.abs(np.hypot(*moved.T) - 3).max() < 0.8
    bar = np.zeros((1, 21, 21), np.uint8)
    bar[0, 10] = 255
    np.testing.assert_array_equal(damage(bar, "rotation", 90)[0], bar[0].T)


def test_unknown_kinds_and_levels_are_rejected(digits):
    with pytest.raises(ValueError, match="known: gaussian"):
        damage(digits, "fog", 1)
    with pytest.raises(ValueError, match="negative"):
        damage(digits, "shift", -1)
    with pytest.raises(ValueError, match="leaves no queries or no database"):
        noise_report({}, digits, np.zeros(len(digits)), queries=600)


def test_what_model_saw_is_read_from_its_settings():
    assert was_trained_against(Model(), "gaussian", 0.1)
    assert not was_trained_against(Model(), "gaussian", 0.2)
    assert not was_trained_against(Model(), "gaussian", 0)
    assert not was_trained_against(Model(), "shift", 1)
    assert not was_trained_against(Model(), "occlusion", 0.1)
    assert not was_trained_against(None, "gaussian", 0.1)


def test_raw_pixels_are_always_there_and_noise_costs(report):
    assert report.dimensions == {"raw pixels": 784, "half": 392}
    at = {(r.model, r.kind, r.level): r for r in report.rows}
    assert len(at) == 2 * 8
    for model in report.dimensions:
        assert at[model, "gaussian", 0].precision_at_10 > 0.5
        assert at[model, "gaussian", 1.0].map < at[model, "gaussian", 0].map
        assert at[model, "gaussian", 0].map == at[model, "rotation", 0].map
        assert report.milliseconds[model] > 0


def test_what_no_model_saw_is_marked(report):
    assert not report.unseen("gaussian", 0.1)
    assert report.unseen("gaussian", 1.0)
    assert report.unseen("occlusion", 0.5)
    assert not report.unseen("rotation", 10)
    assert not report.unseen("gaussian", 0)
    lines = noise_table(report).splitlines()
    assert [line.split("  ")[0] for line in lines[1:8]] == [
        "clean",
        "gaussian 0.1",
        "gaussian 1 *",
        "occlusion 0.5 *",
        "rotation 10",
        "rotation 45 *",
        "numbers",
    ]
    assert json.dumps(report.to_dict()["rows"][0])


def test_curves_are_drawn(report, tmp_path):
    figure = plot_noise(report, title="noise")
    figure.savefig(tmp_path / "noise.png")
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["gaussian", "occlusion", "rotation"]
    assert [len(axes.lines) for axes in panels] == [2, 2, 2]
    np.testing.assert_array_equal(panels[0].lines[0].get_xdata(), [0, 0.1, 1.0])
