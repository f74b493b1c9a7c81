"""Benches on which metrics are measured: real data of several kinds, with and without planted defects."""

from dataclasses import replace

import pytest
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, Split, load
from benchmarks.evaluation.defects import IMAGE_DEFECTS, POINT_DEFECTS, prepare_split
from benchmarks.evaluation.samples import SampleSet
from variants.base import DataSpec


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Bench:
    """An evaluator with fresh real samples, compared once for each defect; each metric is measured when asked for."""

    def __init__(self, dataset: Dataset, samples: int = 0) -> None:
        self.evaluator, self.planting = prepare_split(dataset, drawn(), samples)
        self.compared: dict[str, SampleSet] = {}

    def values(self, *names: str, defect: str = "") -> dict[str, float]:
        if defect not in self.compared:
            defects = IMAGE_DEFECTS if self.evaluator.dataset.spec.is_image else POINT_DEFECTS
            # Its own stream for each defect, so that no figure depends on which others were planted before.
            planting = replace(self.planting, generator=drawn(1))
            samples = defects[defect](planting) if defect else planting.sound
            self.compared[defect] = self.evaluator.compare(samples)
        return self.evaluator.measure(names, self.compared[defect])


def enlarged(dataset: Dataset) -> Dataset:
    """Twice as high and wide, and without a classifier: large images whose values are their own features."""

    def large(split: Split) -> Split:
        twice = torch.nn.functional.interpolate(split.data.float(), scale_factor=2, mode="bilinear")
        return Split(twice.round().byte(), split.labels)

    splits = {name: large(getattr(dataset, name)) for name in ("train", "test", "reference")}
    return replace(dataset, **splits, spec=DataSpec((1, 16, 16), classes=10), extractor="")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DatasetConfig("digits"))


@pytest.fixture(scope="module")
def images(digits: Dataset) -> Bench:
    return Bench(digits)


@pytest.fixture(scope="module")
def large(digits: Dataset) -> Bench:
    return Bench(enlarged(digits))


@pytest.fixture(scope="module")
def many(digits: Dataset) -> Bench:
    """So many images of each class that one in a hundred can be told: each one again, with a little noise."""

    def doubled(split: Split) -> Split:
        noise = torch.randint(8, split.data.shape, generator=drawn(), dtype=torch.uint8)
        again = torch.cat((split.data, (split.data.int() + noise).clamp_max(255).byte()))
        return Split(again, split.labels.repeat(2))

    test = doubled(digits.test)
    return Bench(replace(digits, train=doubled(digits.train), test=test, reference=test))


@pytest.fixture(scope="module")
def points() -> Bench:
    return Bench(load(DatasetConfig("ring8")), 1000)
