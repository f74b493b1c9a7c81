"""The calibration simulates what decides: its shortcuts for many comparisons at once agree with the real functions."""

import numpy as np
import pytest

from benchmarks.statistics.looks import holm
from benchmarks.statistics.ranks import one_group, three_sided, two_groups
from tests.soak import calibration as c

SMALL = c.Simulation(suites=20, tests=5, comparisons=60, tied_comparisons=4)


@pytest.mark.parametrize("seeds", [5, 10])
def test_many_comparisons_at_once_are_the_same_as_one_by_one(seeds: int):
    random = np.random.default_rng(7)
    treatment, control = random.normal(0.5, 1, (6, seeds)), random.normal(0, 1, (6, seeds))
    differences = c.differences(treatment, control)
    p = c.p_values(differences, -0.3, 0.7)
    low, high = c.intervals(differences, c.tails_of_counts(seeds)[1])
    for place in range(6):
        shift = two_groups(treatment[place], control[place])
        assert p[:, place] == pytest.approx(three_sided(shift.tails, -0.3, 0.7))
        assert (low[place], high[place]) == pytest.approx(shift.interval(), abs=1e-7)


@pytest.mark.parametrize("seeds", [5, 10])
def test_many_groups_at_once_are_the_same_as_one_by_one(seeds: int):
    values = np.random.default_rng(8).normal(0.5, 1, (6, seeds))
    less = c.subset_sums(tuple(range(1, seeds + 1)), None).cumsum()
    low, high = c.intervals(c.walsh_averages(values), less)
    for place in range(6):
        assert (low[place], high[place]) == pytest.approx(one_group(values[place]).interval(), abs=1e-7)


def test_holm_over_suites_is_holm():
    p = np.random.default_rng(9).random((50, 6)) ** 6
    expected = [[adjusted <= 0.05 for adjusted in holm(suite.tolist())] for suite in p]
    assert (c.holm_rejects(p) == np.array(expected)).all()
    assert 0 < np.mean(expected) < 1


@pytest.mark.parametrize("shape", c.SHAPES)
def test_shapes_have_a_deviation_of_one(shape: str):
    draws = c.SHAPES[shape](np.random.default_rng(1), (200_000,))
    # The variance of Student's t of 3 degrees converges slowly.
    assert draws.std() == pytest.approx(1, abs=0.05 if shape == "heavy-tailed" else 0.02)


def test_the_interval_covers_and_a_false_one_is_noticed():
    plan = c.Simulation(comparisons=4000)
    normal = c.SHAPES["normal"]
    assert 0.945 < c.measure_coverage(plan, normal, 10, np.random.default_rng(2)) < 0.97
    shifted = c.measure_coverage(
        plan, lambda r, size: r.normal(r.integers(0, 2, (size[0], 1)), 1, size), 10, np.random.default_rng(3)
    )
    assert shifted < 0.8


def test_wrong_suites_count_what_is_wrong():
    plan = c.Simulation(suites=200, tests=4, margin=1.5)
    normal = c.SHAPES["normal"]
    assert c.measure_wrong_suites(plan, normal, 10, 1.5, np.random.default_rng(4)) < 0.1
    # A shift beyond what it is taken for would be right to be called so; here every verdict counts as wrong.
    assert c.measure_wrong_suites(plan, normal, 10, 6.0, np.random.default_rng(5)) == 1.0
    assert c.measure_wrong_suites(
        plan, lambda r, size: 5 * r.integers(0, 2) + r.normal(0, 0.1, size), 10, 0.0, np.random.default_rng(6)
    ) in (0.0, 1.0)
