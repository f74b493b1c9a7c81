"""Metrics of a class at the limits: just enough of it, too little, and distances that are the same."""

import math

import pytest
import torch

from metrics.base import Unmeasurable
from metrics.diversity import class_diversity, class_spread, mean_distance
from metrics.memorization import memorization


def test_two_points_have_a_distance() -> None:
    assert mean_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]])) == 5


# Real examples of four classes, and the diversity of so many samples of each where 100 were expected of all.
REAL = (40, 57, 2, 1)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ((4, 6, 2, 1), (True, True, True, None)),
        ((3, 6, 2, 0), (False, True, True, None)),
        ((4, 5, 1, 1), (True, False, False, None)),
    ],
    ids=["just enough", "below a tenth of the class", "one alone"],
)
def test_a_class_is_diverse_from_two_samples_and_a_tenth_of_its_share_on(
    samples: tuple[int, ...], expected: tuple[bool | None, ...]
) -> None:
    """A class of which there is one real example has no diversity to compare with."""
    real, fake = (torch.rand(sum(counts), 3, generator=torch.Generator().manual_seed(1)) for counts in (REAL, samples))
    classes = [torch.arange(4).repeat_interleave(torch.tensor(counts)) for counts in (REAL, samples)]
    ratios = class_diversity(class_spread(fake, classes[1], 4), class_spread(real, classes[0], 4), 100).tolist()
    assert [None if math.isnan(ratio) else ratio > 0 for ratio in ratios] == list(expected)


def test_a_class_without_distances_is_left_out_of_memorization() -> None:
    near, classes = torch.tensor([1.0, 1.0, 3.0]), torch.tensor([0, 0, 1])
    usual, test_classes = torch.tensor([2.0, torch.inf] + 99 * [2.0]), torch.tensor([0, 0] + 99 * [1])
    found = memorization(near, classes, usual, test_classes)
    assert (found.probability, found.copies) == (0, 0)


def test_a_sample_as_far_as_the_nearest_of_a_hundred_is_a_copy_and_a_farther_one_is_not() -> None:
    usual, zeros = 2.0 + torch.arange(99), torch.zeros(99, dtype=torch.int64)
    for distance, copies in ((1.9, 1), (2.0, 1), (2.1, 0)):
        near = torch.full((3,), distance)
        assert memorization(near, zeros[:3], usual, zeros).copies == copies
    assert memorization(usual, zeros, usual, zeros).probability == 0.5


def test_with_fewer_than_99_fresh_examples_no_sample_is_told_a_copy() -> None:
    zeros = torch.zeros(200, dtype=torch.int64)
    for leaked in (0, 101):  # test examples that are in training do not count
        usual = torch.cat((torch.zeros(leaked), torch.ones(98)))
        found = memorization(zeros[:3].float(), zeros[:3], usual, zeros[: len(usual)])
        assert found.probability == 1
        with pytest.raises(Unmeasurable, match=r"99 test examples of a class .* no class has more than 98"):
            assert found.copies
