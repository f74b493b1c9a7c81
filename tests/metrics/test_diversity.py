"""The spread within a class against figures derived by hand, and at its limits."""

import math

import pytest
import torch

from metrics.base import Unmeasurable
from metrics.diversity import class_diversity, class_spread, mean_distance
from tests.tensors import normal


def test_mean_distance_by_hand() -> None:
    assert mean_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])) == pytest.approx(10 / 3)
    assert math.isnan(mean_distance(torch.zeros(1, 2)))


def test_diversity_of_a_shrunken_a_repeated_and_a_missing_class() -> None:
    real, classes = normal(1, 300, 4), torch.arange(3).repeat_interleave(100)
    fake = torch.cat([real[:100] / 2, real[100:101].expand(100, 4)])
    ratios = class_diversity(class_spread(fake, classes[:200], 4), class_spread(real, classes, 4), 300).tolist()
    assert ratios[0] == pytest.approx(0.5, rel=1e-6)
    assert ratios[1] == pytest.approx(0, abs=1e-3)
    assert ratios[2] == 0
    assert math.isnan(ratios[3])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_a_class_of_identical_real_examples_has_no_diversity_to_hold_samples_against(value: float) -> None:
    classes = torch.arange(2).repeat_interleave(20)
    real = torch.cat([torch.full((20, 5), value), normal(1, 20, 5, dtype=torch.float32)])
    ratios = class_diversity(class_spread(real, classes, 2), class_spread(real, classes, 2), 40)
    assert math.isnan(ratios[0])
    assert ratios[1] == 1
    same = torch.cat([real[:20], real[:20] + 1])
    for few, labels in ((same, classes), (real[[0, 39]], classes[[0, 39]])):
        with pytest.raises(Unmeasurable, match="no class has two real examples that differ"):
            class_diversity(class_spread(real, classes, 2), class_spread(few, labels, 2), 40)


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
