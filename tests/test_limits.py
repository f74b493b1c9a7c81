"""Metrics of a class at the limits: just enough of it, too little, and distances that are the same."""

import math

import pytest
import torch

from metrics.diversity import class_diversity, mean_distance, spread
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
    ratios = class_diversity(spread(fake, classes[1], 4), spread(real, classes[0], 4), 100).tolist()
    assert [None if math.isnan(ratio) else ratio > 0 for ratio in ratios] == list(expected)


def test_a_class_without_distances_is_left_out_of_memorization() -> None:
    near, classes = torch.tensor([1.0, 1.0, 3.0]), torch.tensor([0, 0, 1])
    usual, test_classes = torch.tensor([2.0, torch.inf, 2.0, 2.0]), torch.tensor([0, 0, 1, 1])
    assert memorization(near, classes, usual, test_classes) == (0.0, 0.0)


def test_a_sample_as_far_as_test_examples_is_no_copy() -> None:
    same, zeros = torch.ones(3), torch.zeros(3, dtype=torch.int64)
    assert memorization(same, zeros, same, zeros) == (0.5, 0.0)
    assert memorization(same - 0.1, zeros, same, zeros) == (1.0, 1.0)
