"""The words of a caption are true of the image, and what is held out of training is never trained on."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from metrics.captions import DIGITS, RULES, SLANTS, THICKNESSES, WORDS, all_captions, caption_tokens, slant, thickness


def stroke(width: int, shear: int = 0, ink: float = 1.0, place: int = 14) -> Tensor:
    """A straight stroke of 20 rows in a 28x28 image; `shear` is how many rows up bring it one pixel to the right."""
    image = torch.zeros(28, 28)
    for row in range(4, 24):
        left = place - width // 2 + (0 if not shear else (14 - row) // shear)
        image[row, left : left + width] = ink
    return image.mul(2).sub(1)[None, None]


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_thickness_of_a_bar_by_hand(width: int) -> None:
    # Roberts' differences are 1 along an edge and half the root of 2 at each of the four corners. The 20 rows have 19
    # places between them, and so have the columns one less than their number.
    outline = 2 * 19 + 2 * (width - 1) + 4 * math.sqrt(0.5)
    assert thickness(stroke(width)).item() == pytest.approx(2 * 20 * width / outline, rel=1e-6)


def test_thickness_grows_with_the_stroke_and_not_with_its_ink_or_place() -> None:
    measured = [thickness(stroke(width)).item() for width in range(1, 8)]
    assert measured == sorted(measured)
    assert thickness(stroke(3, ink=0.4)).item() == pytest.approx(thickness(stroke(3)).item(), rel=1e-5)
    assert thickness(stroke(3, place=2)).item() == pytest.approx(thickness(stroke(3)).item(), rel=1e-6)  # at the edge


@pytest.mark.parametrize(("shear", "expected"), [(0, 0.0), (1, 1.0), (-1, -1.0)])
def test_slant_of_a_sheared_bar_is_its_shear(shear: int, expected: float) -> None:
    assert slant(stroke(3, shear)).item() == pytest.approx(expected, abs=1e-6)


def test_slant_turns_over_in_a_mirror_and_keeps_in_place() -> None:
    image = stroke(3, 2)
    assert 0.4 < slant(image).item() < 0.6
    assert slant(image.flip(3)).item() == pytest.approx(-slant(image).item(), abs=1e-6)
    assert slant(stroke(3, 2, place=9)).item() == pytest.approx(slant(image).item(), abs=1e-5)
    assert slant(stroke(3, 2, ink=0.3)).item() == pytest.approx(slant(image).item(), abs=1e-5)


def test_an_empty_image_is_thin_and_upright() -> None:
    empty = torch.full((1, 1, 28, 28), -1.0)
    words = caption_tokens(empty, torch.tensor([7]), RULES["mnist"])
    assert [WORDS[token] for token in words[0].tolist()] == ["seven", "thin", "upright"]


def test_a_caption_says_digit_thickness_and_slant() -> None:
    images = torch.cat([stroke(1, 1), stroke(6, -1), stroke(4), stroke(2, 4)])
    words = caption_tokens(images, torch.tensor([1, 1, 7, 0]), RULES["mnist"])
    assert [" ".join(WORDS[token] for token in row) for row in words.tolist()] == [
        "one thin right",
        "one bold left",
        "seven bold upright",
        "zero thin right",
    ]


def test_each_caption_is_listed_once_in_the_order_of_the_words() -> None:
    listed = all_captions()
    assert tuple(listed.shape) == (60, 3)
    spelled = [tuple(WORDS[token] for token in row) for row in listed.tolist()]
    assert spelled == [(digit, thick, lean) for digit in DIGITS for thick in THICKNESSES for lean in SLANTS]


@pytest.fixture(params=["digits", "mnist"])
def plain(request: pytest.FixtureRequest) -> tuple[str, Path | None]:
    return request.param, request.getfixturevalue("mnist_dir") if request.param == "mnist" else None


def test_held_out_captions_are_never_trained_on_and_their_words_are(plain: tuple[str, Path | None]) -> None:
    name, data_dir = plain
    dataset = load(DatasetConfig(f"captions_{name}"), data_dir)
    held_out = {tuple(row) for row in dataset.captions.held_out.tolist()}
    trained = {tuple(row) for row in dataset.train.tokens.tolist()}
    assert len(held_out) == 12
    assert not trained & held_out
    assert {token for row in trained for token in row} == set(range(len(WORDS)))
    for digit in range(10):
        assert sum(caption[0] == digit for caption in held_out) in (1, 2)
    assert held_out <= {tuple(row) for row in dataset.test.tokens.tolist()} | {
        tuple(row) for row in dataset.reference.tokens.tolist()
    }


def test_captions_are_the_rule_applied_to_the_image_that_they_stand_by(plain: tuple[str, Path | None]) -> None:
    name, data_dir = plain
    dataset = load(DatasetConfig(f"captions_{name}"), data_dir)
    for split in (dataset.train, dataset.test):
        indices = torch.arange(0, len(split), 7)[:500]
        expected = caption_tokens(split.images(indices), split.labels[indices], dataset.captions.rule)
        assert torch.equal(split.condition(indices), expected)
    assert dataset.spec.vocabulary == WORDS
    assert dataset.spec.classes is None  # what a network is told is the caption, not the label


def test_the_constants_are_the_quantiles_that_they_are_said_to_be(plain: tuple[str, Path | None]) -> None:
    name, data_dir = plain
    train = load(DatasetConfig(name), data_dir).train
    rule, pieces = RULES[name], torch.arange(len(train)).split(256)  # all of them: every eighth of MNIST is thinner
    widths = torch.cat([thickness(train.images(piece)) for piece in pieces])
    assert widths.median().item() == pytest.approx(rule.bold, abs=0.005)
    words = torch.cat([caption_tokens(train.images(piece), train.labels[piece], rule)[:, 2] for piece in pieces])
    shares = (words - WORDS.index("left")).bincount().double() / len(words)
    expected, tolerance = ([0.17, 0.40, 0.43], 0.005) if name == "mnist" else ([1 / 3, 1 / 3, 1 / 3], 0.08)
    assert shares.tolist() == pytest.approx(expected, abs=tolerance)
    assert len(rule.upright) == len(DIGITS)
    if name == "digits":
        digits = (train.images((train.labels == digit).nonzero().flatten()) for digit in range(len(DIGITS)))
        assert rule.upright == pytest.approx([slant(images).median().item() for images in digits], abs=0.006)
