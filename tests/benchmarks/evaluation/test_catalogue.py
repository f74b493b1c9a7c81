"""The contract of every metric: real data get the perfect value, or near it, and a planted defect is noticed."""

import math

import pytest
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load
from benchmarks.evaluation.catalogue import METRICS, find_metric
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.samples import SampleSet
from tests.benchmarks.evaluation.conftest import Bench


def captioned(dataset: Dataset, right: bool) -> dict[str, float]:
    """Real captioned images, asked for by their own captions or by those of others."""
    evaluator = Evaluator(dataset, len(dataset.test))
    images = dataset.test.images(slice(None))
    tokens = dataset.test.tokens if right else dataset.test.tokens.roll(7, 0)
    names = [name for name in evaluator.names() if "captions" in METRICS[name].needs]
    return evaluator.measure(names, SampleSet(evaluator.reference, images, dataset.test.labels, tokens))


# Each metric: where it is measured, how far real data may be from the perfect value, a defect, and by how much, at
# least, that makes it worse.
CONTRACT: dict[str, tuple[str, float, str, float]] = {
    "fid": ("images", 0.5, "dropped class", 5),
    "fid_normalized": ("images", 0.5, "duplicates", 1),
    "fid_normalized_extractor": ("images", 0.5, "blur", 4),
    "fid_pixels": ("images", 0.5, "blur", 3),
    "kid": ("images", 0.03, "blends", 0.2),
    "kid_error": ("images", 0.02, "dropped class", 0.01),
    "mode_coverage": ("images", 0, "uniform noise", 0.5),
    "mode_kl": ("images", 0.01, "dropped class", 0.1),
    "modes_captured": ("points", math.inf, "dropped mode", 1),
    "high_quality": ("points", 0.01, "wider modes", 0.7),
    "overlap": ("points", 0.02, "dropped mode", 0.1),
    "mode_spread": ("points", 0.05, "one point in a mode", 0.05),
    "accuracy": ("images", 0.02, "wrong labels", 0.05),
    "accuracy_class": ("images", 0.1, "blends", 0.2),
    "caption_digit": ("captions", 0.02, "other captions", 0.5),
    "caption_thickness": ("captions", 0, "other captions", 0.2),
    "caption_slant": ("captions", 0.02, "other captions", 0.2),
    "caption_digit_held_out": ("captions", 0.05, "other captions", 0.5),
    "caption_thickness_held_out": ("captions", 0, "other captions", 0.2),
    "caption_slant_held_out": ("captions", 0.05, "other captions", 0.2),
    "caption_agreement_seen": ("captions", 0.03, "other captions", 0.5),
    "caption_agreement_held_out": ("captions", 0.03, "other captions", 0.5),
    "classifier_score": ("images", math.inf, "blends", 3),
    "gan_train": ("images", 0.1, "dropped class", 0.05),
    "precision": ("images", 0.2, "blur", 0.3),
    "recall": ("images", 0.2, "duplicates", 0.5),
    "density": ("images", 0.15, "blends", 0.5),
    "coverage": ("images", 0.1, "duplicates", 0.5),
    "diversity": ("images", 0.15, "one image in a class", 0.05),
    "diversity_worst": ("images", 0.25, "one image in a class", 0.6),
    "checkerboard": ("large", 0.1, "coarse checkerboard", 0.3),
    "checkerboard_period": ("large", 0.1, "checkerboard", 0.5),
    "memorization": ("images", 0.1, "copies of training", 0.35),
    "memorization_pixels": ("images", 0.1, "copies of training", 0.35),
    "copies": ("many", 0.01, "copies of training", 0.9),
    "copies_pixels": ("many", 0.01, "copies of training", 0.9),
}


def test_every_metric_has_a_contract() -> None:
    # The published weights of Inception cannot be had here: tests/metrics/test_inception.py has its figures by hand.
    assert set(CONTRACT) == {name for name, metric in METRICS.items() if "inception" not in metric.needs}
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", CONTRACT)
def test_real_data_are_good_and_a_planted_defect_is_noticed(name: str, request: pytest.FixtureRequest) -> None:
    place, tolerance, defect, worse = CONTRACT[name]
    if place == "captions":
        dataset = load(DatasetConfig("captions_digits"))
        sound, planted = (captioned(dataset, right) for right in (True, False))
    else:
        bench: Bench = request.getfixturevalue(place)
        sound, planted = bench.values(name), bench.values(name, defect=defect)
    metric = METRICS[name]
    names = [each for each in sound if find_metric(each) is metric]
    assert names
    for each in names:
        assert metric.range[0] <= sound[each] <= metric.range[1]
        assert metric.range[0] <= planted[each] <= metric.range[1]
        assert abs(sound[each] - metric.perfect) <= tolerance
    sign = 1 if metric.direction == "min" else -1
    assert max(sign * (planted[each] - sound[each]) for each in names) >= worse


@pytest.mark.parametrize("name", METRICS)
def test_a_record_says_what_it_has_to(name: str) -> None:
    metric = METRICS[name]
    assert metric.direction in ("min", "max")
    assert metric.range[0] <= metric.perfect <= metric.range[1]
    assert metric.summary
    assert metric.paper
    facts = {
        "images",
        "large",
        "extractor",
        "inception",
        "labels",
        "condition",
        "modes",
        "classes",
        "centres",
        "mixture",
        "captions",
    }
    assert metric.needs <= facts
    assert metric.cost in ("each", "final")


def test_a_checkerboard_is_power_above_that_of_real_images(large: Bench) -> None:
    def above(defect: str) -> tuple[float, float, float]:
        return tuple(large.values("checkerboard", "checkerboard_period", defect=defect).values())

    (_, *sound), (fine, *of_fine), (coarse, *of_coarse) = map(above, ("", "checkerboard", "coarse checkerboard"))
    # The positive part, at the period with most of it; a figure of each.
    assert fine == of_fine[0] > 0.5
    assert coarse == of_coarse[1] > 0.3
    assert of_coarse[0] == pytest.approx(sound[0], abs=0.1)
    assert of_fine[1] == pytest.approx(sound[1], abs=0.1)
    # Enlarging by repeating pixels takes power away just there, which is no checkerboard.
    half = torch.nn.functional.avg_pool2d(large.planting.sound, 2)
    resized = large.evaluator.compare(torch.nn.functional.interpolate(half, scale_factor=2))
    lacking = large.evaluator.measure(("checkerboard", "checkerboard_period"), resized)
    assert lacking["checkerboard_period_2"] < -1
    assert lacking["checkerboard"] == max(0.0, lacking["checkerboard_period_4"]) < 0.3
    assert find_metric("checkerboard_period_4") is METRICS["checkerboard_period"]
