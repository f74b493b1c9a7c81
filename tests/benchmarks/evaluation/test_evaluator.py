"""Every metric that applies is measured, and others are absent with their reasons."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchmetrics import MeanMetric

from benchmarks.algorithm.device import resolve_device
from benchmarks.algorithm.random_streams import stream
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Classes, Dataset, Split, load
from benchmarks.datasets.captions import CaptionedSplit
from benchmarks.evaluation.catalogue import METRICS, find_metric
from benchmarks.evaluation.classifiers import classifiers_of
from benchmarks.evaluation.defects import prepare_split, replay_samples
from benchmarks.evaluation.evaluator import NOT_FINITE, Evaluator
from benchmarks.evaluation.samples import SampleSet
from benchmarks.training.cache import load_dataset
from metrics.base import Measurement, Metric
from metrics.features import load_extractor
from tests.benchmarks.evaluation.conftest import Bench, drawn
from tests.gpu import on_a_gpu
from variants import DataSpec, UserError


def test_names_are_absent_where_a_metric_does_not_apply(images: Bench, large: Bench, points: Bench) -> None:
    told, untold = (set(images.evaluator.names(conditional=told)) for told in (True, False))
    assert told - untold == {"accuracy", "accuracy_class", "gan_train"}
    assert not told & {"overlap", "modes_captured", "high_quality", "checkerboard", "caption_digit"}
    assert set(images.evaluator.names(final=False)) == {n for n in told if METRICS[n].cost == "each"}
    assert "checkerboard" in large.evaluator.names()
    assert not set(large.evaluator.names()) & {"mode_coverage", "mode_kl", "accuracy", "fid_normalized", "gan_train"}
    assert set(points.evaluator.names()) == {
        *("fid", "kid", "kid_error", "mode_kl", "modes_captured", "high_quality", "overlap", "mode_spread"),
        *("precision", "recall", "density", "coverage"),
    }


def test_accuracy_by_class_stands_under_the_class(images: Bench) -> None:
    values = images.values("accuracy_class", defect="dropped class")
    assert values["accuracy_class_3"] == 0
    assert values["accuracy_class_8"] > 0.9
    assert find_metric("accuracy_class_3") is METRICS["accuracy_class"]
    assert find_metric("fid") is METRICS["fid"]
    with pytest.raises(UserError, match="unknown metric 'fidd'; did you mean 'fid'"):
        find_metric("fidd")
    with pytest.raises(UserError, match="unknown metric 'fid_3'"):
        find_metric("fid_3")


def test_the_same_samples_have_the_same_metrics_whatever_was_judged_before(digits: Dataset, images: Bench) -> None:
    before = torch.random.get_rng_state()
    first = images.evaluator.evaluate(replay_samples(images.planting.sound), final=True)
    assert torch.equal(torch.random.get_rng_state(), before)
    fresh, planting = prepare_split(digits, drawn())
    fresh.evaluate(replay_samples(planting.sound.flip(2)))
    assert fresh.evaluate(replay_samples(planting.sound), final=True) == first


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_have_no_metrics_but_their_number(images: Bench, broken: float) -> None:
    samples = images.planting.sound.clone()
    samples[17, 0, 3, 3] = broken
    samples[4] = broken
    evaluator = images.evaluator
    assert evaluator.evaluate(replay_samples(samples), final=True) == {NOT_FINITE: 2.0}
    assert set(evaluator.absent) == set(evaluator.names())
    assert set(evaluator.absent.values()) == {f"2 of {len(samples)} samples are not finite"}
    assert evaluator.evaluate(replay_samples(samples), only={"fid"}) == {NOT_FINITE: 2.0}
    assert set(evaluator.absent) == {"fid"}


def few(digits: Dataset, count: int, side: int = 8, *, same: bool = False) -> Dataset:
    """So many training and test images of each class, of that size; or all of a class the same."""

    def part(split: Split) -> Split:
        chosen = torch.cat([(split.labels == label).nonzero().flatten()[:count] for label in range(10)])
        data = split.data[chosen].repeat_interleave(3, 2).repeat_interleave(3, 3)[:, :, :side, :side].contiguous()
        if same:
            data = data[::count].repeat_interleave(count, 0)
        return Split(data, split.labels[chosen])

    test = part(digits.test)
    spec = DataSpec((1, side, side), classes=10)
    extractor = digits.extractor if side == 8 else ""
    return replace(digits, train=part(digits.train), test=test, reference=test, spec=spec, extractor=extractor)


@pytest.mark.parametrize(("count", "side", "same"), [(1, 8, False), (2, 8, False), (9, 8, True), (3, 17, False)])
@pytest.mark.parametrize("generator", ["real", "constant", "noise", "one class"])
def test_what_cannot_be_measured_is_absent_with_its_reason(
    count: int, side: int, same: bool, generator: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.gan_train._UPDATES", 2)
    dataset = few(digits, count, side, same=same)
    evaluator = Evaluator(dataset, 40)
    samples = {
        "real": dataset.train.images(torch.arange(40) % len(dataset.train)),
        "constant": torch.zeros(40, *dataset.spec.shape),
        "noise": torch.rand(40, *dataset.spec.shape, generator=drawn()) * 2 - 1,
        "one class": dataset.train.images(torch.zeros(40, dtype=torch.long)),
    }[generator]
    for measure in (lambda: evaluator.evaluate(replay_samples(samples), final=True), evaluator.measure_real_data):
        values = measure()
        assert all(map(math.isfinite, values.values()))
        assert not set(values) & set(evaluator.absent)
        families = {find_metric(name).name for name in values}
        assert set(evaluator.names()) == families | {find_metric(name).name for name in evaluator.absent}
        assert all(evaluator.absent.values())
        # Of a class of one image, or of equal ones, nothing tells what looks real.
        if count < 4 or same:
            assert not set(values) & {"mode_coverage", "diversity", "copies"}


class Nothing(MeanMetric):
    """Has no value, whatever it is given."""

    def compute(self) -> Tensor:
        return torch.tensor(math.nan)


def test_a_value_that_is_not_a_number_is_absent(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = replace(METRICS["fid"], name="nothing", measurement=Measurement(Nothing, ("images",)))
    monkeypatch.setitem(METRICS, "nothing", nothing)
    evaluator = Evaluator(digits, 100)
    values = evaluator.evaluate(lambda condition, count: torch.zeros(count, 1, 8, 8), only={"nothing", "kid"})
    assert set(values) == {"kid"}
    assert set(evaluator.absent) == {"nothing"}


def test_a_generator_is_asked_for_the_labels_of_the_reference_in_small_batches(digits: Dataset) -> None:
    asked: list[Tensor] = []

    def generate(condition: Tensor | None, count: int) -> Tensor:
        assert condition is not None
        assert len(condition) == count <= 1000
        asked.append(condition)
        return digits.train.images(torch.arange(count) % len(digits.train))

    evaluator = Evaluator(digits, 2500)
    evaluator.evaluate(generate)
    counts = torch.bincount(torch.cat(asked))
    exact = torch.bincount(digits.reference.labels) * 2500 / 898
    assert (counts - exact).abs().max() < 1
    # Any beginning has nearly the same frequencies, so that a part of the samples can stand for all.
    assert (torch.bincount(torch.cat(asked)[:500]) - exact / 5).abs().max() <= 2


def test_the_row_of_real_data_is_good_and_in_the_order_of_the_tables(digits: Dataset) -> None:
    evaluator = Evaluator(digits, 400)
    row = evaluator.measure_real_data()
    assert row["precision"] < 0.99  # a sample in the reference would lie in its own ball
    assert row["gan_train"] > 0.9
    assert row["mode_coverage"] == 1
    assert row["accuracy"] == pytest.approx(load_extractor("digits").accuracy, abs=0.015)
    assert list(row) == sorted(row, key=lambda name: (list(METRICS).index(find_metric(name).name), len(name), name))


@on_a_gpu
@pytest.mark.parametrize("name", ["digits", "ring8", "captions_digits"])
def test_a_gpu_gives_the_figures_of_a_cpu(name: str) -> None:
    """Of samples that are neither real nor noise; all metrics, the costly ones too."""
    dataset = load(DatasetConfig(name))
    seen = []
    for device in ("cpu", resolve_device("cuda")):
        judges = Evaluator(dataset, 1000, device=device)
        chosen = torch.arange(1000) % len(dataset.train)
        samples = dataset.train.images(chosen).roll(1, -1)
        samples = samples + 0.1 * torch.randn(samples.shape, generator=drawn())
        where, labels = samples.to(device), dataset.train.labels[chosen].to(device)
        tokens = dataset.train.condition(chosen).to(device) if dataset.captions else None
        comparison = SampleSet(judges.reference, where, labels, tokens)
        seen.append(judges.measure(judges.names(), comparison) | judges.measure_real_data())
    assert seen[1] == pytest.approx(seen[0], rel=1e-3, abs=1e-3, nan_ok=True)


def test_a_wrong_shape_is_told(digits: Dataset) -> None:
    with pytest.raises(ValueError, match=r"samples of shape \(100, 1, 9, 9\), not \(100, 1, 8, 8\)"):
        Evaluator(digits, 100).evaluate(lambda condition, count: torch.zeros(count, 1, 9, 9))


def test_one_sample_is_too_few(digits: Dataset) -> None:
    with pytest.raises(UserError, match="at least 2 samples, not 1"):
        Evaluator(digits, 1)


def test_stacks_are_counted_channel_by_channel() -> None:
    dataset = load(DatasetConfig("stacked_digits"))
    few = replace(dataset.test, data=dataset.test.data[:2000])
    evaluator = Evaluator(replace(dataset, reference=few), 4000, classifiers_of(dataset)[:1])
    stacks = dataset.test.images(torch.arange(4000, 8000))
    real = evaluator.evaluate(replay_samples(stacks))
    assert real["modes_captured"] > 950
    # A plug-in estimate from N samples of K modes is (K - 1) / 2N too large; few samples are misread.
    assert real["mode_kl"] == pytest.approx(999 / 8000, abs=0.03)
    grey = stacks[:, :1].expand(-1, 3, -1, -1)
    collapsed = evaluator.evaluate(replay_samples(grey))
    assert collapsed["modes_captured"] <= 20
    assert collapsed["mode_kl"] == pytest.approx(math.log(100), abs=0.3)
    assert "mode_coverage" not in real


def test_the_captions_of_real_images_are_true_of_them() -> None:
    dataset = load(DatasetConfig("captions_digits"))
    assert isinstance(dataset.reference, CaptionedSplit)
    row = Evaluator(dataset, 500).measure_real_data(final=False)
    assert row["caption_thickness"] == 1
    assert row["caption_agreement_held_out"] > 0.9


def test_agreement_tells_seen_captions_from_those_that_training_never_showed() -> None:
    """A generator that draws what it is asked for, except for held-out captions, where it draws another digit."""
    dataset = load(DatasetConfig("captions_digits"))
    evaluator, test, held_out = Evaluator(dataset, len(dataset.test)), dataset.test, dataset.captions.held_out
    asked = test.tokens.clone()
    which = (asked[:, None] == held_out).all(2)
    # Two places on in the list of held-out captions stands another digit.
    asked[which.any(1)] = held_out[(which.int().argmax(1)[which.any(1)] + 2) % len(held_out)]
    comparison = SampleSet(evaluator.reference, test.images(slice(None)), test.labels, asked)
    assert comparison.held_out.sum() == which.any(1).sum() > 30
    row = evaluator.measure(
        ["caption_digit_held_out", *(f"caption_agreement_{x}" for x in ("seen", "held_out"))], comparison
    )
    assert row["caption_agreement_seen"] > 0.97
    assert row["caption_agreement_held_out"] == row["caption_digit_held_out"] == pytest.approx(0, abs=0.05)


def test_a_metric_can_be_added(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    brightness = Metric(
        "brightness",
        "mean pixel",
        "max",
        (-1, 1),
        0,
        frozenset({"images"}),
        "none",
        Measurement(MeanMetric, ("images",)),
    )
    monkeypatch.setitem(METRICS, "brightness", brightness)
    evaluator = Evaluator(digits, 100)
    assert evaluator.evaluate(lambda condition, count: torch.full((count, 1, 8, 8), 0.5))["brightness"] == 0.5
    assert "brightness" in evaluator.seconds


def test_a_perfect_generator_trains_as_well_whatever_the_order_of_the_reference(digits: Dataset) -> None:
    """GAN-train takes 5,000 samples; the first ones of a reference that is ordered by class lack two classes."""
    values = []
    mixed = torch.arange(7 * 898) % 898
    for order in (mixed, mixed[digits.test.labels[mixed].argsort(stable=True)]):
        test = digits.test.select(order)
        evaluator = Evaluator(replace(digits, test=test, reference=test), len(test))
        samples = digits.train.images(drawn_from(digits.train, test.labels))
        values.append(evaluator.measure(["gan_train"], evaluator.compare(samples))["gan_train"])
    assert min(values) > 0.9
    assert values[1] == pytest.approx(values[0], abs=0.02)


def drawn_from(split: Split, labels: Tensor) -> Tensor:
    """For each label a place of the split that has it, in turn."""
    places = torch.empty_like(labels)
    for label in labels.unique():
        members, wanted = (split.labels == label).nonzero().flatten(), labels == label
        places[wanted] = members[torch.arange(int(wanted.sum())) % len(members)]
    return places


def test_modes_of_data_without_labels_are_not_measured(digits: Dataset) -> None:
    plain = {name: Split(getattr(digits, name).data) for name in ("train", "test", "reference")}
    spec = replace(digits.spec, classes=None)
    dataset = replace(digits, **plain, spec=spec, modes=None, class_names=(), extractor="")
    evaluator = Evaluator(dataset, 200)
    values = evaluator.evaluate(lambda condition, count: digits.train.images(torch.arange(count)), final=True)
    assert {"fid", "fid_pixels", "kid", "precision"} <= set(values)
    assert not set(values) & {"mode_kl", "accuracy", "gan_train", "memorization"}
    assert set(evaluator.measure_real_data()) == set(values)
    assert isinstance(digits.modes, Classes)


def test_one_metric_can_be_measured_without_the_others() -> None:
    data = load_dataset(DatasetConfig("digits"), None, 0)
    judge = Evaluator(data, 200)

    def generate(condition: Tensor | None, count: int) -> Tensor:
        return torch.rand(count, 1, 8, 8, generator=stream(count, "pixels")) * 2 - 1

    every = judge.evaluate(generate)
    assert judge.evaluate(generate, only={"fid_normalized"}) == {"fid_normalized": every["fid_normalized"]}
    assert list(judge.seconds) == ["fid_normalized"]
