"""Small sets of a person's own images: whatever they are, each metric is a number in its range, or absent for a reason.

Hypothesis draws the sets. They are written as PNG files and loaded as any folder is; an untrained classifier judges
them, since training one takes seconds. Two sets are judged by one that is trained at its first use.
"""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load
from benchmarks.evaluation.catalogue import METRICS, find_metric
from benchmarks.evaluation.classifiers import VIEWS
from benchmarks.evaluation.evaluator import Evaluator, Generate
from benchmarks.run import main as run
from benchmarks.run_folder.folder import list_run_folders
from metrics import gan_train
from metrics.features import Classifier, Extractor
from metrics.spectrum import periods
from tests.conftest import Done
from tests.image_sets import BLANK, CONSTANT, NOISE, SAME, Images
from variants.recipe import UserError

SIDES = st.sampled_from((4, 8, 16, 17, 32, 33, 40)) | st.integers(4, 40)


@st.composite
def image_sets(draw: st.DrawFn) -> Images:
    counts = draw(st.lists(st.integers(1, 20) | st.integers(2, 6), min_size=1, max_size=5))
    kind = st.sampled_from((NOISE, CONSTANT, SAME, BLANK))
    kinds = draw(st.lists(kind, min_size=len(counts), max_size=len(counts)) | kind.map(lambda one: [one] * len(counts)))
    options = (draw(SIDES), draw(SIDES), draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 99)))
    return Images(tuple(counts), tuple(kinds), *options)


def untrained(dataset: Dataset) -> Extractor:
    """A classifier as it is before it learns, with the statistics of its features over the training images."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        classes = dataset.spec.classes or VIEWS
        classifier = Classifier(dataset.spec.shape, classes).eval().requires_grad_(False)
    features, _ = classifier(dataset.train.images(slice(None)))
    mean, deviation = features.double().mean(0), features.double().std(0)
    return Extractor(classifier, "untrained", 0, 0.0, "0" * 64, dataset.spec.shape, classes, mean, deviation, {})


def noise(dataset: Dataset) -> Generate:
    """Uniform noise."""
    random = torch.Generator().manual_seed(2)
    return lambda condition, count: torch.rand(count, *dataset.spec.shape, generator=random) * 2 - 1


def one_image(dataset: Dataset) -> Generate:
    """The first training image, again and again: a generator that has collapsed."""
    return lambda condition, count: dataset.train.images(slice(0, 1)).expand(count, *dataset.spec.shape)


def real_of_the_class(dataset: Dataset) -> Generate:
    """A training image of the class that is asked for, if any: a generator that repeats them."""

    def generate(condition: Tensor | None, count: int) -> Tensor:
        if condition is None:
            return dataset.train.images(torch.arange(count) % len(dataset.train))
        firsts = [int((dataset.train.labels == label).nonzero()[0]) for label in condition.tolist()]
        return dataset.train.images(torch.tensor(firsts))

    return generate


def accounted_for(evaluator: Evaluator, values: Mapping[str, float]) -> None:
    """Asserts that each metric is a finite number in its range, or absent with a reason; never both, never neither."""
    absent, classes = evaluator.absent, evaluator.dataset.spec.classes
    assert not set(values) & set(absent)
    for name, value in values.items():
        low, high = find_metric(name).range
        assert math.isfinite(value), name
        assert low <= value <= high, (name, value)
    for name, reason in absent.items():
        assert find_metric(name)
        assert reason == reason.strip().rstrip(".")
        assert len(reason) > 5
    large = periods(*evaluator.dataset.spec.shape[1:])
    members = {
        "accuracy_class": range(classes or 0),
        "fid_normalized_extractor": range(len(evaluator.classifiers)),
        "checkerboard_period": large if "checkerboard_period" not in absent else (),
    }
    told = set(values) | set(absent)
    expected = set()
    for name in evaluator.names():
        if not METRICS[name].family or name in absent:
            expected.add(name)
        else:
            expected |= {f"{name}_{place}" for place in members[name]}
    assert told == expected


JUDGED = {name for name, metric in METRICS.items() if "extractor" in metric.needs} | {"kid", "kid_error"}
JUDGED -= {"accuracy", "classifier_score"}  # which ask for the class alone
GENERATORS = (noise, one_image, real_of_the_class)


@pytest.mark.long
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=image_sets(), samples=st.integers(2, 30), make=st.sampled_from(GENERATORS))
def test_each_metric_of_a_small_set_is_in_its_range_or_absent_for_a_reason(
    images: Images, samples: int, make: Callable[[Dataset], Generate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan_train, "_UPDATES", 2)
    shutil.rmtree(tmp_path / "own", ignore_errors=True)
    images.write(tmp_path / "own")
    config = DatasetConfig(f"folder:{tmp_path / 'own'}", image_size=images.image_size)
    if min(images.counts) < 2:
        with pytest.raises(UserError, match=r"a (class|set) needs at least 2") as refused:
            load(config)
        assert "\n" not in str(refused.value)
        return
    dataset = load(config)
    evaluator = Evaluator(dataset, samples, (untrained(dataset),))
    accounted_for(evaluator, values := evaluator.evaluate(make(dataset), final=True))
    if len(dataset.train.data.unique(dim=0)) == 1:
        # Nothing tells how far apart two images are, so no sample is at any distance, or at none.
        assert not set(values) & JUDGED
    accounted_for(evaluator, evaluator.measure_real_data())
    assert "\n" not in evaluator.real_data_note


@pytest.mark.long
@pytest.mark.parametrize(
    ("images", "measured"),
    [
        (
            Images((3, 7, 2), (NOISE, SAME, CONSTANT), 33, 17, colour=True, twice=True, seed=4),
            {"fid", "fid_normalized"},
        ),
        (Images((2, 5), (BLANK, BLANK), 8, 8, colour=False, twice=False, seed=5), {"fid", "accuracy"}),
        (
            Images((40,), (NOISE,), 17, 16, colour=True, twice=False, seed=6),
            {"fid", "kid", "precision", "coverage", "checkerboard"},
        ),
        (Images((30,), (NOISE,), 9, "12x10", colour=False, twice=False, seed=7), {"fid", "kid", "recall", "density"}),
    ],
    ids=["of each kind", "all the same", "without labels", "rectangles without labels"],
)
def test_a_small_set_is_trained_on_and_judged_by_a_classifier_of_its_own(
    images: Images,
    measured: set[str],
    called: Callable[..., Done],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 60)
    monkeypatch.setattr(gan_train, "_UPDATES", 20)
    images.write(tmp_path / "own")
    variant = "cgan_mlp" if len(images.counts) > 1 else "vanilla_gan"
    words = f"--dataset folder:own --image-size {images.image_size} --epochs 1 --epoch-updates 2 --batch-size 4"
    done = called(run, "--variant", variant, *words.split(), "--samples", "12", "--no-tracking", "--data-dir", "data")
    assert done.code == 0, done.err
    assert "Traceback" not in done.out + done.err
    (folder,) = list_run_folders("runs")
    assert folder.status()["state"] == "FINISHED"
    values, absent = folder.lines()[-1]["metrics"], folder.facts().get("absent", {})
    assert measured <= set(values)
    assert all(math.isfinite(value) for value in values.values())
    assert not set(values) & set(absent)
    assert all(absent.values())
    if len(images.counts) == 1:
        assert not {name for name in (*values, *absent) if find_metric(name).needs & {"labels", "classes", "modes"}}
        assert "no class folders" in " ".join(folder.environment()["notes"])
