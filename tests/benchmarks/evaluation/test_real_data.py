"""The row of real data: a random sample that training never saw, which no generator of training examples can beat."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, Split, load
from benchmarks.evaluation.catalogue import METRICS
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.matching import draw_matched

DISTANCES = ("fid_normalized", "fid_pixels")
DECIDING = (*DISTANCES, "coverage", "overlap", "accuracy", "gan_train", "checkerboard")
DECIDING += ("caption_agreement_seen", "caption_agreement_held_out")
NOTICING = ("copies", "memorization")
SMALL = ("digits", "ring8", "grid25", "arc", "folder")
LARGE = tuple(
    pytest.param(name, marks=pytest.mark.long)
    for name in ("mnist", "stacked_mnist", "captions_mnist", "stacked_digits", "captions_digits")
)
SAMPLES = 2000


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer stacks, and fewer updates of GAN-train, which read digits as well and spread as much as all of them."""
    monkeypatch.setattr("benchmarks.datasets.stacked.TRAIN_STACKS", 10_000)
    monkeypatch.setattr("benchmarks.datasets.stacked.TEST_STACKS", 4000)
    monkeypatch.setattr("metrics.gan_train._UPDATES", 200)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Dataset:
    if name != "folder":
        return load(DatasetConfig(name), request.getfixturevalue("mnist_dir") if "mnist" in name else None, 3)
    digits = load(DatasetConfig("digits"))
    for place, (image, label) in enumerate(zip(digits.train.data, digits.train.labels.tolist(), strict=True)):
        path = tmp_path / "own" / str(label) / f"{place:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    # Judged by the classifier that there is, so that none has to be trained.
    return replace(load(DatasetConfig(f"folder:{tmp_path / 'own'}", image_size=8)), extractor="digits")


def repeated(evaluator: Evaluator) -> Tensor:
    """Training examples that have what is asked for: the caption, where there is one of it, else the label."""
    train, reference, stream = evaluator.dataset.train, evaluator.dataset.reference, drawn(0)

    def some_of(members: Tensor, count: int) -> Tensor:
        return members[torch.randint(len(members), (count,), generator=stream)]

    if reference.labels is None:
        return train.images(some_of(torch.arange(len(train)), evaluator.samples))
    places = torch.empty(evaluator.samples, dtype=torch.long)
    asked, known = reference.condition(evaluator.chosen), train.condition(slice(None))
    for each in asked.unique(dim=0):
        wanted, there = ((rows == each).flatten(1).all(1) for rows in (asked.unsqueeze(1), known.unsqueeze(1)))
        if not there.any():
            there = train.labels == reference.labels[evaluator.chosen][wanted][0]
        places[wanted] = some_of(there.nonzero().flatten(), int(wanted.sum()))
    return train.images(places)


@pytest.mark.long
@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_whoever_repeats_training_examples_does_not_beat_real_data_unnoticed(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """By no metric that decides, by more than eight random rows of real data differ; or what notices copies says so.

    FID is of more samples than the row has; so it is held against the row as the note of the row says.
    """
    evaluator = Evaluator(made(name, tmp_path, request), SAMPLES)
    deciding = [each for each in evaluator.names() if each in DECIDING]
    noticing = [each for each in evaluator.names() if each in NOTICING]
    row = evaluator.measure_real_data()
    ours = evaluator.measure([*deciding, *noticing], evaluator.compare(repeated(evaluator)))
    size = len(evaluator.held_out)
    drawings = [draw_matched(evaluator.dataset.reference, size, drawn(seed)) for seed in range(8)]
    others = [evaluator.measure(deciding, evaluator.compare_held_out(held)) for held in drawings]
    beaten = []
    for each in deciding:
        values = [other[each] for other in others]
        spread = max(values) - min(values)
        # It is one of such rows itself: twice the range of eight is about six standard deviations.
        assert abs(row[each] - fmean(values)) <= 2 * spread
        mine = ours[each] * (evaluator.fid_bias_ratio if each in DISTANCES else 1)
        better = row[each] - mine if METRICS[each].direction == "min" else mine - row[each]
        beaten += [each] if better > spread else []
    assert deciding
    if beaten:
        assert noticing, beaten
        assert ours["memorization"] > 0.9
        # Where there are enough examples of a class to tell copies at all.
        assert ours.get("copies", 1) > 0.9 > 10 * row.get("copies", 0)
        # Above a half: those that do not look real, which are farther from everything, are left out.
        assert 0.4 < row["memorization"] < 0.65


@pytest.mark.parametrize("name", ["digits", "captions_digits", "stacked_digits", "ring8"])
def test_the_row_is_of_examples_that_nothing_else_has(name: str) -> None:
    dataset = load(DatasetConfig(name))
    evaluator = Evaluator(dataset, 200)
    held = evaluator.held_out
    assert len(held) == len(held.unique()) == 200
    comparison = evaluator.compare_held_out(held)
    assert torch.equal(comparison.images, dataset.reference.images(held))
    rest = comparison.reference.split
    assert type(rest) is type(dataset.reference)
    assert len(rest) == len(dataset.reference) - 200
    others = {row.numpy().tobytes() for row in torch.cat([rest.data, dataset.train.data])}
    if name != "stacked_digits":  # whose stacks are drawn, so that one may come twice
        assert not others & {row.numpy().tobytes() for row in dataset.reference.data[held]}
    if dataset.captions:
        assert torch.equal(comparison.tokens, dataset.reference.tokens[held])
        assert len(rest.tokens) == len(rest)


def test_the_row_is_random_within_a_class_and_has_the_share_of_each() -> None:
    digits = load(DatasetConfig("digits"))
    held = Evaluator(digits, 400).held_out
    counts, whole = (digits.reference.labels[places].bincount() for places in (held, slice(None)))
    assert (counts - whole * 400 / 898).abs().max() < 1
    # The first of a class would have a mean place of half the last place.
    assert held.double().mean() == pytest.approx(449, abs=45)
    assert torch.equal(held, Evaluator(digits, 400).held_out)
    assert not torch.equal(held, Evaluator(replace(digits, checksum="f" * 64), 400).held_out)


def test_there_are_as_many_as_samples_but_half_of_the_reference_at_most() -> None:
    digits = load(DatasetConfig("digits"))
    assert [len(Evaluator(digits, samples).held_out) for samples in (10, 449, 450, 5000)] == [10, 449, 449, 449]
    assert Evaluator(digits, 2500).real_data_note == (
        "449 examples of the reference, drawn at random, against the other 449: FID has 2.94 times the bias there that "
        "2,500 samples have against all 898"
    )
    # (1/449 + 1/449) / (1/2500 + 1/898), by hand.
    assert Evaluator(digits, 2500).fid_bias_ratio == pytest.approx(0.0044543 / 0.0015136, rel=1e-4)


def test_gan_train_of_the_row_is_tested_on_the_other_examples() -> None:
    """Of all labels of the examples that stand for samples wrong, none can be learnt from them."""
    digits = load(DatasetConfig("digits"))
    evaluator = Evaluator(digits, 400)
    held = evaluator.held_out
    labels = digits.test.labels.clone()
    labels[held] = (labels[held] + 1) % 10
    wrong = Split(digits.test.data, labels)
    judged = Evaluator(replace(digits, test=wrong, reference=wrong), 400)
    comparison = judged.compare_held_out(held)
    assert judged.measure(["gan_train"], comparison)["gan_train"] < 0.05


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_reference_of_hardly_any_examples_has_no_row_but_reasons(count: int) -> None:
    digits = load(DatasetConfig("digits"))
    few = digits.test.select(torch.arange(count))
    evaluator = Evaluator(replace(digits, test=few, reference=few), 100)
    assert evaluator.real_data_note
    row = evaluator.measure_real_data()
    assert not set(row) & {"fid", "fid_normalized", "kid", "precision", "mode_coverage"}
    assert {"fid", "fid_normalized", "kid", "precision", "mode_coverage"} <= set(evaluator.absent)
    assert all(evaluator.absent.values())
