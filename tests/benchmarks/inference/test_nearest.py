"""The training images that are nearest: a copy is its own, and each space has its own distance."""

from dataclasses import replace

import pytest
import torch

from benchmarks import Run
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.inference.nearest import draw_nearest, find_nearest_training
from metrics.features import load_extractor


def test_a_copy_is_its_own_nearest_image_and_others_are_found_as_by_all_distances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = load(DatasetConfig("digits"))
    # Several parts, the last one smaller.
    monkeypatch.setattr("benchmarks.inference.nearest._AT_ONCE", 200)
    chosen = torch.tensor([0, 5, 199, 200, 898])
    copies = find_nearest_training(data.train.images(chosen), data)
    assert {space: index.tolist() for space, index in copies.items()} == dict.fromkeys(
        ("features", "pixels"), chosen.tolist()
    )
    others = data.test.images(torch.arange(30))
    found = find_nearest_training(others, data)
    extractor, train = load_extractor("digits"), data.train.images(slice(None))
    for space, (ours, theirs) in {
        "features": (extractor(others), extractor(train)),
        "pixels": (others.flatten(1), train.flatten(1)),
    }.items():
        distances = torch.cdist(ours.double(), theirs.double())
        torch.testing.assert_close(distances[torch.arange(30), found[space]], distances.min(1).values)
    assert found["features"].tolist() != found["pixels"].tolist()


def test_data_without_a_classifier_have_pixels_only() -> None:
    data = replace(load(DatasetConfig("digits")), extractor="")
    assert list(find_nearest_training(data.train.images(torch.arange(2)), data)) == ["pixels"]


def test_the_picture_shows_each_sample_and_its_neighbours(labelled: Run) -> None:
    data = load(DatasetConfig("digits"))
    # Tiles of seven-fold pixels: in a row three groups of three.
    picture = draw_nearest(labelled, data, count=5)
    side = 8 * 7
    assert 9 * side < picture.width < 11 * side
    assert 2 * side < picture.height < 5 * side
    assert draw_nearest(labelled, data, count=5, seed=1).tobytes() != picture.tobytes()
