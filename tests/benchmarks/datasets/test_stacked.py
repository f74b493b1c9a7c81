"""Stacks are three digits as channels, and hold all thousand modes."""

import math

import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import StackedClasses, load

NORMAL = 4.5  # standard errors: a true sampler fails one such test in 150,000


def test_a_stack_is_its_three_digits_as_channels() -> None:
    digits, stacked = load(DatasetConfig("digits")), load(DatasetConfig("stacked_digits"), seed=2)
    for plain, split in ((digits.train, stacked.train), (digits.test, stacked.test)):
        indices = torch.tensor([5, 0, 7000])
        batch, triples = split.images(indices), split.data[indices]
        for channel in range(3):
            assert torch.equal(batch[:, channel], plain.images(triples[:, channel])[:, 0])
        red, green, blue = (plain.labels[triples[:, channel]] for channel in range(3))
        assert torch.equal(split.modes(indices), 100 * red + 10 * green + blue)
    assert stacked.modes == StackedClasses(classes=10, channels=3)
    assert stacked.modes.count == 1000
    assert stacked.extractor == "digits"
    assert stacked.spec.classes is None


def test_all_thousand_modes_are_in_the_data_at_their_rates() -> None:
    digits, stacked = load(DatasetConfig("digits")), load(DatasetConfig("stacked_digits"), seed=2)
    rates = digits.train.labels.bincount().double() / len(digits.train)
    expected = torch.einsum("i,j,k->ijk", rates, rates, rates).flatten() * len(stacked.train)
    counts = stacked.train.modes(slice(None)).bincount(minlength=1000).double()
    assert counts.min() > 0
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_square - 999) < NORMAL * math.sqrt(2 * 999)
    assert (len(stacked.train), len(stacked.test)) == (128_000, 26_000)


def test_other_seeds_stack_other_digits() -> None:
    first, second = (load(DatasetConfig("stacked_digits"), seed=seed) for seed in (0, 1))
    assert not torch.equal(first.train.data, second.train.data)
    assert first.checksum != second.checksum
