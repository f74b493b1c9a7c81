"""Measures the tests where the two groups differ in more than a shift: in shape, in size, by failures; and under ties.

The true shift of a comparison is the median of the difference of two runs, which both tests are about: the rank sum,
which decides, and the studentised permutation test, which is its second reading where shapes may differ. A test that
rejects the true shift is wrong; a wrong verdict at a margin is just that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.statistics.looks import ALPHA
from benchmarks.statistics.ranks import Tails, studentised_difference, studentised_tails, two_groups
from tests.soak.calibration import SHAPES, Draw, differences, tails_of_counts

SIZES = ((10, 10), (20, 20), (10, 20), (20, 10))
"""Runs of the treatment and of the control."""
COMPARISONS, TIED_COMPARISONS = 20_000, 1000
_PERMUTATIONS = 200_000
_CHUNK = 1000


def _collapsing(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return random.normal(0, 1, size) - 6 * (random.random(size) < 0.25)


def _failing(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return np.where(random.random(size) < 0.2, -np.inf, random.normal(0, 1, size))


def _counts(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return random.binomial(8, 0.6, size) / 1.0


@dataclass(frozen=True)
class Pair:
    """Defines how the runs of a treatment and of its control are drawn, but for the shift."""

    name: str
    treatment: Draw
    control: Draw
    # Whether values are tied: then the functions that decide are called, one comparison after the other.
    tied: bool = False


_NORMAL = SHAPES["normal"]
PAIRS = (
    Pair("equal shapes", _NORMAL, _NORMAL),
    Pair("the treatment spreads 3 times as much", lambda random, size: 3 * _NORMAL(random, size), _NORMAL),
    Pair("the treatment collapses in one run of four, by 6 σ", _collapsing, _NORMAL),
    Pair("skewed, to opposite sides", SHAPES["skewed"], lambda random, size: -SHAPES["skewed"](random, size)),
    Pair("the treatment fails in one run of five", _failing, _NORMAL, tied=True),
    Pair("modes of 8 in both", _counts, _counts, tied=True),
)


def true_shift(pair: Pair, random: np.random.Generator) -> float:
    """Returns the median difference of a run of the treatment and one of the control, by many draws."""
    count = 10**6
    return float(np.median(pair.treatment(random, (count,)) - pair.control(random, (count,))))


def rank_sum_p(treatment: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of the exact rank sum for many comparisons without ties: (comparisons,)."""
    greater, less = tails_of_counts(treatment.shape[1], control.shape[1])
    larger = (differences(treatment, control) > 0).sum(axis=1)
    return np.minimum(1, 2 * np.minimum(greater[larger], less[larger]))


def studentised_p(treatment: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of `statistics.studentised_tails` at 0 for many comparisons without ties.

    Without ties the permutations are those of ranks, so all comparisons of one size share them.
    """
    size = treatment.shape[1]
    null = _null(size, size + control.shape[1])
    values = np.concatenate([treatment, control], axis=1).argsort(axis=1).argsort(axis=1)
    observed = studentised_difference(values, size)
    # Equal arrangements differ by rounding.
    above = len(null) - np.searchsorted(null, observed - 1e-9)
    below = np.searchsorted(null, observed + 1e-9)
    return np.minimum(1, 2 * (1 + np.minimum(above, below)) / (1 + len(null)))


@cache
def _null(size: int, count: int) -> np.ndarray:
    orders = np.random.default_rng(0).random((_PERMUTATIONS, count)).argsort(axis=1)
    return np.sort(studentised_difference(orders, size))


def _two_sided(tails: Tails) -> float:
    return min(1.0, 2 * min(tails))


def measure_pair(pair: Pair, sizes: tuple[int, int], comparisons: int, stream: tuple[int, ...]) -> dict[str, Any]:
    """Returns how often each test rejects the true shift at 5 %, as JSON values. stream: of the random numbers."""
    random = np.random.default_rng(stream)
    shift = true_shift(pair, random)
    ranks = studentised = 0
    for start in range(0, comparisons, _CHUNK):
        count = min(_CHUNK, comparisons - start)
        groups = pair.treatment(random, (count, sizes[0])) - shift, pair.control(random, (count, sizes[1]))
        if pair.tied:
            ranks += sum(_two_sided(two_groups(*each).tails(0.0)) <= ALPHA for each in zip(*groups, strict=True))
            studentised += sum(_two_sided(studentised_tails(*each)(0.0)) <= ALPHA for each in zip(*groups, strict=True))
        else:
            ranks += int((rank_sum_p(*groups) <= ALPHA).sum())
            studentised += int((studentised_p(*groups) <= ALPHA).sum())
    return {
        "pair": pair.name,
        "treatment": sizes[0],
        "control": sizes[1],
        "comparisons": comparisons,
        "ranks": ranks / comparisons,
        "studentised": studentised / comparisons,
    }


def measure(
    size: float, done: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]], seed: int = 0
) -> list[dict[str, Any]]:
    """Measures every pair at every size. size: share of the comparisons. done: as in `looks.measure`."""
    return [
        done(
            f"{pair.name}, {sizes[0]} and {sizes[1]} runs",
            lambda pair=pair, sizes=sizes, place=place, at=at: measure_pair(
                pair, sizes, max(2, round(size * (TIED_COMPARISONS if pair.tied else COMPARISONS))), (seed, place, at)
            ),
        )
        for place, pair in enumerate(PAIRS)
        for at, sizes in enumerate(SIZES)
    ]
