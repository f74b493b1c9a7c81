"""Counts of modes against figures derived by hand and theory."""

import math

import pytest
import torch

from metrics.base import Unmeasurable
from metrics.modes import (
    high_quality,
    mode_counts,
    mode_coverage,
    mode_kl,
    modes_captured,
    nearest_centres,
    overlap,
)
from tests.tensors import normal


def test_mode_coverage_needs_a_tenth_of_the_true_share() -> None:
    truth = torch.tensor([50.0, 50.0, 100.0, 0.0])
    counts = torch.tensor([25.0, 24.0, 900.0, 0.0])
    # Of 1,000 samples the first two modes need 25 each; the last mode is not in the truth.
    assert mode_coverage(counts, truth, 1000) == pytest.approx(2 / 3)
    assert mode_coverage(truth, truth, 200) == 1.0


def test_mode_kl_by_hand() -> None:
    even = torch.ones(8)
    assert mode_kl(even * 5, even) == 0
    assert mode_kl(torch.tensor([9.0] + [0.0] * 7), even) == pytest.approx(math.log(8))
    assert mode_kl(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0])) == pytest.approx(0.5 * math.log(4 / 3))
    with pytest.raises(Unmeasurable, match="a mode of which there is no real example"):
        mode_kl(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))
    with pytest.raises(Unmeasurable, match="no sample"):
        mode_kl(torch.zeros(8), even)


RING = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * (math.pi / 4)])


def test_true_samples_of_a_ring_are_what_theory_says() -> None:
    points = RING.repeat(2000, 1) + 0.01 * normal(1, 16000, 2, dtype=torch.float32)
    nearest, distances = nearest_centres(points, RING)
    # P(chi with two degrees of freedom < 3) = 1 - exp(-9/2)
    assert high_quality(distances, 0.01).double().mean() == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert modes_captured(mode_counts(nearest, 8)) == 8
    assert modes_captured(torch.tensor([0.0, 1.0, 5.0])) == 2
    assert overlap(points, RING, 0.1) == pytest.approx(1, abs=1e-6)
    assert overlap(points, RING, 0.02) == pytest.approx(1 - math.exp(-2), abs=0.01)


def test_overlap_of_a_collapsed_generator_is_the_share_of_its_modes() -> None:
    points = RING[:1].expand(100, 2)
    assert overlap(points, RING, 0.1) == pytest.approx(1 / 8)
    assert overlap(points + 0.5, RING, 0.1) == 0
    half = torch.cat([RING[:1].expand(75, 2), RING[1:2].expand(25, 2)])
    assert overlap(half, RING, 0.1) == pytest.approx(2 / 8)


def test_uniform_noise_captures_modes_but_does_not_overlap() -> None:
    points = 2.4 * torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) - 1.2
    nearest, distances = nearest_centres(points, RING)
    assert modes_captured(mode_counts(nearest[high_quality(distances, 0.01)], 8)) >= 4
    assert overlap(points, RING, 0.1) < 0.1


def test_no_sample_overlaps_with_nothing() -> None:
    with pytest.raises(Unmeasurable, match="no sample"):
        overlap(torch.zeros(0, 2), torch.zeros(3, 2), 1.0)


def test_the_spread_of_a_mode_is_one_where_it_is_right_and_nothing_of_one_point() -> None:
    from metrics.modes import mode_spread

    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    # Two points at ±1 of a centre: variance 2 along one axis, 0 along the other, against 2 σ².
    pair = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    assert mode_spread(pair, centres, 3.0, 1.0) == pytest.approx(1.0)
    assert mode_spread(torch.cat((pair, centres[1:])), centres, 3.0, 1.0) == pytest.approx(1.0)
    assert mode_spread(pair, centres, 3.0, 2.0) == pytest.approx(0.5)
    same = torch.tensor([[10.0, 0.0]] * 3)
    assert mode_spread(same, centres, 3.0, 1.0) == 0
    assert mode_spread(torch.cat((pair, same)), centres, 3.0, 1.0) == pytest.approx(0.5**0.5)
    with pytest.raises(Unmeasurable, match="no mode has two samples"):
        mode_spread(pair, centres, 0.5, 1.0)
