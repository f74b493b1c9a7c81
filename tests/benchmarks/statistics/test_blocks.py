"""The shift of two groups in several blocks, against brute force, scipy and the test of two groups."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.statistics.blocks import block_weights, stratified
from benchmarks.statistics.ranks import two_groups


def brute_force(blocks: list[tuple[list[float], list[float]]], theta: float) -> tuple[float, float]:
    """P(sum ≥ observed) and P(sum ≤ observed) over all ways to call the runs of each block treatment or control."""
    weights = block_weights([(len(t), len(c)) for t, c in blocks])
    sums, observed = [0.0], 0.0
    for (treatment, control), weight in zip(blocks, weights, strict=True):
        ranks = stats.rankdata([x - theta for x in treatment] + list(control)).tolist()
        observed += weight * sum(ranks[: len(treatment)])
        ways = [weight * sum(chosen) for chosen in itertools.combinations(ranks, len(treatment))]
        sums = [a + b for a in sums for b in ways]
    sums = np.array(sums)
    return float((sums >= observed - 1e-9).mean()), float((sums <= observed + 1e-9).mean())


@pytest.mark.parametrize("seed", range(12))
def test_tails_are_those_of_all_permutations_within_blocks(seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks = []
    for _ in range(2 + seed % 2):
        n, m = random.integers(1, 5, 2)
        # Whole numbers are tied often; some runs failed.
        draw = [np.where(random.random(k) < 0.1, -np.inf, random.integers(0, 5, k)).tolist() for k in (n, m)]
        blocks.append(tuple(draw))
    shift = stratified(blocks)
    for theta in (0, 1, -0.5):
        assert shift.tails(theta) == pytest.approx(brute_force(blocks, theta), abs=1e-12)


def test_one_block_is_two_groups() -> None:
    random = np.random.default_rng(0)
    treatment, control = random.normal(0.4, 1, 9).tolist(), random.normal(0, 1, 7).tolist()
    one, two = stratified([(treatment, control)]), two_groups(treatment, control)
    assert one.estimate == two.estimate
    assert one.interval() == two.interval()
    assert one.tails(0.1) == two.tails(0.1)


def test_a_difference_between_blocks_does_not_count() -> None:
    random = np.random.default_rng(1)
    base = [(random.normal(1, 1, 8), random.normal(0, 1, 8)) for _ in range(3)]
    moved = [(t + 100 * k, c + 100 * k) for k, (t, c) in enumerate(base)]
    assert stratified(moved).estimate == pytest.approx(stratified(base).estimate)
    assert stratified(moved).tails(0) == stratified(base).tails(0)
    # Without blocks the difference drowns.
    pooled = [np.concatenate(group) for group in zip(*moved, strict=True)]
    assert stratified(moved).tails(0).greater < 0.02 < two_groups(*pooled).tails(0).greater


def test_against_the_usual_approximation() -> None:
    """The normal approximation of van Elteren's test, from the ranks that scipy gives."""
    random = np.random.default_rng(2)
    blocks = [(random.normal(0.5, 1, 30).tolist(), random.normal(0, 1, 30).tolist()) for _ in range(3)]
    total = mean = variance = 0.0
    for treatment, control in blocks:
        n, m = len(treatment), len(control)
        ranks = stats.rankdata(treatment + control)[:n]
        total, mean = total + ranks.sum() / (n + m + 1), mean + n / 2
        variance += n * m / 12 / (n + m + 1)
    p = stats.norm.sf((total - mean) / math.sqrt(variance))
    assert stratified(blocks).tails(0).greater == pytest.approx(p, rel=0.05)


def test_unequal_blocks_have_their_weights() -> None:
    assert block_weights([(10, 10), (10, 10)]) == [1, 1]
    weights = block_weights([(4, 5), (20, 20), (9, 10)])
    assert np.array(weights) * [10, 41, 20] == pytest.approx(weights[0] * 10, rel=0.05)
    # A large block with a shift outweighs a small one without.
    random = np.random.default_rng(3)
    large, small = (random.normal(2, 1, 20), random.normal(0, 1, 20)), (random.normal(0, 1, 3), random.normal(0, 1, 3))
    assert stratified([large, small]).estimate == pytest.approx(two_groups(*large).estimate, abs=0.3)


def test_the_interval_holds_what_the_tests_do_not_reject() -> None:
    random = np.random.default_rng(4)
    blocks = [(random.normal(1, 1, 6), random.normal(0, 1, 7)) for _ in range(3)]
    shift = stratified(blocks)
    low, high = shift.interval(0.9)
    assert low < shift.estimate < high
    for theta in (low + 1e-6, high - 1e-6):
        assert min(shift.tails(theta)) > 0.05
    for theta in (low - 1e-6, high + 1e-6):
        assert min(shift.tails(theta)) <= 0.05


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_error_is_kept_where_rates_differ(shift: float) -> None:
    """At the true shift one side rejects at 5 % as often as that, ties or not: simulated, within four errors."""
    random = np.random.default_rng(5)
    rejected, count = 0, 400
    for _ in range(count):
        blocks = []
        for rate in range(3):
            noise = [np.round(random.normal(3 * rate, 1 + rate, 5), 1) for _ in range(2)]
            blocks.append((noise[0] + shift, noise[1]))
        rejected += stratified(blocks).tails(shift).greater <= 0.05
    assert rejected / count <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / count)
    assert rejected > 0


def test_empty_blocks_say_nothing_and_nothing_at_all_is_refused() -> None:
    block = ([3.0, 4.0, 5.0], [1.0, 2.0, 2.5])
    assert stratified([block, ([], [7.0])]).estimate == stratified([block]).estimate
    with pytest.raises(ValueError, match="no block has values of both groups"):
        stratified([([], [7.0])])
    with pytest.raises(ValueError, match="NaN"):
        stratified([([math.nan], [7.0])])
