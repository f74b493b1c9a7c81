"""Computes shifts with exact intervals, tests against margins, and the seeds still needed, from one number a run.

Larger numbers are better; a failed run is −∞. docs/method.md describes the method. All tests are exact under ties,
which failures, counts of modes and shares of few samples produce. scipy has the pieces without ties; our tests compare
with scipy and with brute force.

Two values that agree to nine significant digits are tied: their difference is rounding. From the rounded values on,
arithmetic is exact: differences and averages are tied with each other, or with a margin, if they are equal. Whether
two values are tied depends on no other value.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from benchmarks.statistics.looks import CONFIDENCE

POWER = 0.8
BOUND = 0.8
MOST_SEEDS = 100
"""Larger numbers of seeds are reported as "> 100": nobody would run them."""

_DIGITS = 9


def significant(value: float) -> float:
    """Rounds a number to nine significant digits; an infinite one stays."""
    return float(f"{value:.{_DIGITS - 1}e}")


class Tails(NamedTuple):
    """Holds p-values of the one-sided tests at a shift: `greater` is small if the data lie above, `less` if below."""

    greater: float
    less: float


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Shift:
    """Holds the shift of values above others, or above zero, by ranks."""

    estimate: float
    """Hodges–Lehmann; NaN where nothing finite can be said, as where every run failed."""
    breaks: np.ndarray
    """Finite shifts, sorted, between which the tests do not change."""
    at: Callable[[int], Tails]
    """Tests at a place among the breaks: 2k + 1 is break k, 2k lies between it and the one before."""

    def tails(self, theta: float) -> Tails:
        """Returns the tests at a shift."""
        theta = significant(theta)
        return self.at(int(np.searchsorted(self.breaks, theta) + np.searchsorted(self.breaks, theta, "right")))

    @cached_property
    def _between(self) -> list[Tails]:
        """Tests below the first break, between each two, and above the last."""
        return [self.at(2 * place) for place in range(len(self.breaks) + 1)]

    def interval(self, level: float = CONFIDENCE) -> Interval:
        """Returns the shifts that neither one-sided test rejects at (1 − level) / 2; infinite without a finite end.

        Of two groups it is the exact interval of Mann and Whitney. Without ties, at n = m = 10 and 95 %, it goes from
        the 24th to the 77th of the 100 sorted differences (Hollander, Wolfe & Chicken 2014, sec. 4.3).
        """
        # Two p-values that are the same fraction may differ by the rounding of their sums.
        alpha = (1 - level) / 2 * (1 + 1e-9)
        edges = [-math.inf, *self.breaks.tolist(), math.inf]
        not_above = [place for place, tails in enumerate(self._between) if tails.greater > alpha]
        not_below = [place for place, tails in enumerate(self._between) if tails.less > alpha]
        # Where most runs of one group failed, even shifts without end are rejected.
        return Interval(
            edges[not_above[0]] if not_above else math.inf, edges[not_below[-1] + 1] if not_below else -math.inf
        )


def two_groups(treatment: Sequence[float], control: Sequence[float]) -> Shift:
    """Returns the shift of the treatment above the control, two groups of independent runs (Mann & Whitney 1947).

    Raises ValueError for a NaN and for an empty group.
    """
    above, below = check_values(treatment), check_values(control)
    differences = combine_exactly(lambda x, y: x - y, above, below)
    breaks, side = find_sides(differences)
    own = [double_ranks(group) for group in (above, below)]

    def at(place: int) -> Tails:
        # A pair adds two to the doubled rank of the larger one, and one to each of two that are tied.
        larger = side(place).astype(np.int64)
        return _rank_sum(own[0] + (1 + larger).sum(axis=1), own[1] + (1 - larger).sum(axis=0))

    # Two failures are tied whatever the shift: such a pair speaks for neither side, so half of it stands at each end.
    return Shift(median_known(differences), breaks, at)


def one_group(values: Sequence[float]) -> Shift:
    """Returns the shift of one group above zero: contrasts within runs, or values less a constant.

    By signed ranks (Wilcoxon 1945), with Pratt's (1959) treatment of zeros, for outcomes that are roughly symmetric
    about their centre. Raises ValueError for a NaN and for no values.
    """
    values = check_values(values)
    averages = combine_exactly(lambda x, y: (x + y) / 2, values, values)
    breaks, side = find_sides(averages)
    order = np.sign(np.subtract.outer(*2 * [np.unique(values, return_inverse=True)[1]]))

    def at(place: int) -> Tails:
        # |x − θ| is larger than |y − θ| where (x − y) and (x + y) / 2 − θ have one sign.
        above = side(place).astype(np.int64)
        return _signed_rank(1 + (1 + order * above).sum(axis=1), above.diagonal())

    return Shift(median_known(averages[np.triu_indices(len(values))]), breaks, at)


def rank_sum_tails(treatment: Sequence[float], control: Sequence[float]) -> Tails:
    """Returns exact permutation tests of the rank sum, with midranks for ties; infinite values are allowed."""
    ranks = double_ranks(np.concatenate([treatment, control]))
    return _rank_sum(ranks[: len(treatment)], ranks[len(treatment) :])


def welch_tails(treatment: Sequence[float], control: Sequence[float] | None) -> Callable[[float], Tails] | None:
    """Returns Welch's (1947) t-tests of two groups, or Student's of one group against zero, at a shift.

    None where a value is not finite, or nothing varies.
    """
    from scipy import stats

    above, below = np.asarray(treatment, dtype=float), np.asarray([0.0] if control is None else control, dtype=float)
    if not (np.isfinite(above).all() and np.isfinite(below).all()):
        return None
    if not np.ptp(above) > 0 and (control is None or not np.ptp(below) > 0):
        return None

    def tails(theta: float) -> Tails:
        with warnings.catch_warnings():
            # One group may not vary at all, such as overlaps of 1 with a single mode: that is no loss of precision.
            warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
            if control is None:
                tests = [stats.ttest_1samp(above, theta, alternative=side) for side in ("greater", "less")]
            else:
                tests = [
                    stats.ttest_ind(above - theta, below, equal_var=False, alternative=side)
                    for side in ("greater", "less")
                ]
        return Tails(*(float(test.pvalue) for test in tests))

    return tails


_PERMUTATIONS = 9_999


def studentised_tails(treatment: Sequence[float], control: Sequence[float]) -> Callable[[float], Tails]:
    """Returns permutation tests of the studentised rank difference at a shift (Neubert & Brunner 2007).

    Unlike the rank sum it keeps its error where the groups differ in shape, as where one arm collapses at times, if
    they are large; then it tests that a value of the treatment is as often above one of the control as below. The same
    9,999 random permutations are used at each shift. Infinite values are allowed. Raises ValueError as `two_groups`.
    """
    above, below = check_values(treatment), check_values(control)
    size, count = len(above), len(above) + len(below)
    draws = np.random.default_rng(0).random((_PERMUTATIONS, count)).argsort(axis=1)
    orders = np.concatenate([np.arange(count)[None], draws])

    def tails(theta: float) -> Tails:
        shifted = np.array([significant(value - theta) for value in above.tolist()])
        values = np.unique(np.concatenate([shifted, below]), return_inverse=True)[1]
        observed, *permuted = studentised_difference(values[orders], size)
        permuted = np.array(permuted)
        # The observed order counts as one of the permutations, so that no p is 0.
        return Tails(
            (1 + int((permuted >= observed).sum())) / (1 + len(permuted)),
            (1 + int((permuted <= observed).sum())) / (1 + len(permuted)),
        )

    return tails


def studentised_difference(values: np.ndarray, size: int) -> np.ndarray:
    """Returns the statistic of Brunner and Munzel for each row, whose first `size` values are the treatment's.

    values: (rows, count), whole numbers of which equal ones are tied.
    """
    from scipy.stats import rankdata

    groups = values[:, :size], values[:, size:]
    together = rankdata(values, axis=1)
    ranks = together[:, :size], together[:, size:]
    placements = [rank - rankdata(group, axis=1) for rank, group in zip(ranks, groups, strict=True)]
    means = [rank.mean(axis=1) for rank in ranks]
    variance = sum(
        placed.var(axis=1, ddof=1) * len_other**-2 / placed.shape[1]
        for placed, len_other in zip(placements, (groups[1].shape[1], size), strict=True)
    )
    difference = (means[0] - means[1]) / values.shape[1]
    # Of groups that do not overlap the variance is 0. In place of an infinite statistic, half a placement.
    least = (0.5 / values.shape[1]) ** 2 / values.shape[1]
    return difference / np.sqrt(np.maximum(variance, least))


class ThreeSided(NamedTuple):
    """Holds p-values of a shift above both margins, between them, and below both (Goeman, Solari & Stijnen 2010)."""

    above: float
    inside: float
    below: float

    @property
    def p(self) -> float:
        """p of all three. The factor is for the two sides; where `inside` is small, neither of them is."""
        return min(1.0, 2 * min(self))


def three_sided(tails: Callable[[float], Tails], low: float, high: float) -> ThreeSided:
    """Tests a shift against two margins, low ≤ high, at once; equal margins have nothing inside."""
    if not low <= high:
        raise ValueError(f"the lower margin {low} lies above the upper one {high}")
    at_low, at_high = tails(low), tails(high)
    inside = max(at_low.greater, at_high.less) if low < high else 1.0
    return ThreeSided(at_high.greater, inside, at_low.less)


def failure_p(failed: tuple[int, int], runs: tuple[int, int]) -> float:
    """Returns the p of Fisher's exact test, two-sided, for equal failure rates. failed, runs: of each group."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([[failed[0], runs[0] - failed[0]], [failed[1], runs[1] - failed[1]]]).pvalue)


class Deviation(NamedTuple):
    """Holds a standard deviation, and the bound of the true one at 80 % confidence."""

    estimate: float
    bound: float


def deviation_within(*groups: Sequence[float]) -> Deviation:
    """Returns the pooled standard deviation within groups, its bound by normal theory; failed runs are left out.

    Infinite where no group has two values left.
    """
    from scipy.stats import chi2

    finite = [values[np.isfinite(values)] for values in (np.asarray(group, dtype=float) for group in groups)]
    freedom = sum(max(len(values) - 1, 0) for values in finite)
    if not freedom:
        return Deviation(math.inf, math.inf)
    deviation = math.sqrt(
        sum(float(((values - values.mean()) ** 2).sum()) for values in finite if len(values)) / freedom
    )
    return Deviation(deviation, deviation * math.sqrt(freedom / float(chi2.ppf(1 - BOUND, freedom))))


def fewest_seeds(groups: int, tests: int = 1, alpha: float = 1 - CONFIDENCE) -> int:
    """Returns the fewest seeds an arm with which ranks can decide one of so many tests, for the largest effect.

    groups: 2, or 1 for contrasts within runs and for constants.
    """
    for seeds in range(1, MOST_SEEDS):
        least = 1 / (math.comb(2 * seeds, seeds) if groups == 2 else 2**seeds)
        if 2 * least * tests <= alpha:
            return seeds
    return MOST_SEEDS


def seeds_to_settle(
    estimate: float,
    sigma: float,
    low: float,
    high: float,
    *,
    groups: int = 2,
    tests: int = 1,
    alpha: float = 1 - CONFIDENCE,
    most: float = MOST_SEEDS,
) -> float:
    """Returns the seeds an arm that give a verdict with 80 % power, if the shift is as estimated.

    For two groups and one test about 15.7 / d² outside of the margins, d being the distance to the nearer one in units
    of sigma, and about 21 / (δ / σ)² inside of ±δ at a shift of zero. Two corrections raise the power, which few seeds
    would leave at 50 to 75 %, to 80 % (docs/calibration.md): for normal outcomes ranks need π / 3 times the seeds that
    means need, and an estimated spread costs z² / 4 more (Guenther 1981).

    tests: number of tests that share the error `alpha`. groups: 1 for contrasts within runs and for constants.
    Infinite where it is more than `most`.
    """
    from scipy.stats import norm

    nearest = max(estimate - high, low - estimate, min(high - estimate, estimate - low))
    if not nearest > 0 or not math.isfinite(estimate) or not math.isfinite(sigma):
        return math.inf
    z = float(norm.ppf(1 - alpha / (2 * tests)))
    one_side, both_sides = (groups * (z + float(norm.ppf(power))) ** 2 for power in (POWER, (1 + POWER) / 2))
    needed = one_side * (sigma / nearest) ** 2
    if low < estimate < high:
        needed = max(needed, both_sides * (2 * sigma / (high - low)) ** 2)
    needed = max(needed * math.pi / 3 + z**2 / (2 * groups), fewest_seeds(groups, tests, alpha))
    return math.ceil(needed) if needed <= most else math.inf


def check_values(values: Sequence[float]) -> np.ndarray:
    """Returns a group, rounded to significant digits. Raises ValueError for a NaN and for no values."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not array.size:
        raise ValueError("a group is a sequence of at least one number")
    if np.isnan(array).any():
        raise ValueError("NaN is no outcome; a failed run is -inf")
    return np.array([significant(value) for value in array.tolist()])


def combine_exactly(
    combine: Callable[[Fraction, Fraction], Fraction], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Returns every pair of two groups, combined as decimal fractions without rounding, as floats.

    Equal pairs give equal floats. A pair with an infinite value is combined as floats.
    """
    exact = [[Fraction(repr(v)) if math.isfinite(v) else v for v in group.tolist()] for group in (first, second)]
    return np.array([[_float(combine(x, y)) for y in exact[1]] for x in exact[0]])


def _float(value: Fraction | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def find_sides(values: np.ndarray) -> tuple[np.ndarray, Callable[[int], np.ndarray]]:
    """Returns the breaks among values, and the side of each value from a place among them: 1 above, −1 below, 0 tied.

    NaN stands for two failures against each other, and is always tied.
    """
    finite = np.isfinite(values)
    breaks = np.unique(values[finite])
    places = np.where(finite, 2 * np.searchsorted(breaks, values) + 1, values)
    return breaks, lambda place: np.nan_to_num(np.sign(places - place))


def median_known(values: np.ndarray) -> float:
    """Returns the median; NaN values, pairs of failures that are as likely −∞ as +∞, do not count.

    NaN without other values, and where nothing finite lies between the failures of one group and of the other.
    """
    known = np.sort(values[~np.isnan(values)])
    middle = known[(len(known) - 1) // 2 : len(known) // 2 + 1]
    if not len(known) or (middle[0] != middle[-1] and not np.isfinite(middle).any()):
        return math.nan
    return float(middle.mean())


def double_ranks(values: np.ndarray) -> np.ndarray:
    """Returns midranks times two, which are whole numbers."""
    from scipy.stats import rankdata

    return np.rint(2 * rankdata(values)).astype(np.int64)


@lru_cache(maxsize=512)
def subset_sums(ranks: tuple[int, ...], size: int | None) -> np.ndarray:
    """Returns the probability of each sum of a random subset with `size` members, or of any size for None.

    Uses the shift algorithm of Streitberg & Röhmel 1986. Shape: (largest sum + 1,).
    """
    total = sum(ranks)
    if size is None:
        ways = np.zeros(total + 1)
        ways[0] = 1
        for rank in ranks:
            ways[rank:] = (ways[rank:] + ways[: total + 1 - rank]) / 2
            ways[:rank] /= 2
        return ways
    ways = np.zeros((size + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks:
        # The right side is computed whole before any of it is written, so no rank is taken twice.
        ways[1:, rank:] = ways[1:, rank:] + ways[:-1, : total + 1 - rank]
    return ways[size] / math.comb(len(ranks), size)


def _rank_sum(treatment: np.ndarray, control: np.ndarray) -> Tails:
    both = np.sort(np.concatenate([treatment, control]))
    return find_tails(subset_sums(tuple(both.tolist()), len(treatment)), int(treatment.sum()))


def _signed_rank(ranks: np.ndarray, signs: np.ndarray) -> Tails:
    return find_tails(subset_sums(tuple(np.sort(ranks[signs != 0]).tolist()), None), int(ranks[signs > 0].sum()))


def find_tails(probabilities: np.ndarray, observed: int) -> Tails:
    return Tails(min(1.0, float(probabilities[observed:].sum())), min(1.0, float(probabilities[: observed + 1].sum())))
