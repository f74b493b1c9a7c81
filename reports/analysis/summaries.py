"""Sums up values over seeds: their mean, their spread, and how many there are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.statistics.looks import CONFIDENCE


@dataclass(frozen=True)
class Summary:
    """Holds the mean of one value a run and how much the runs vary."""

    mean: float
    """NaN of no values, infinite where one value is: nothing is averaged away."""
    spread: float
    """Sample standard deviation, or half of an interval; NaN for fewer than two values."""
    count: int
    """Number of values that are not NaN."""
    missing: int = 0
    """Number of values that are NaN."""

    @property
    def varies(self) -> bool:
        """Whether the spread is more than rounding; one value that was measured for each run again has no spread."""
        return self.spread > 1e-6 * abs(self.mean)


def summarize(values: Iterable[float]) -> Summary:
    """Returns mean and sample standard deviation; a count of 0 where nothing was measured."""
    values = list(values)
    measured = [value for value in values if not math.isnan(value)]
    count, missing = len(measured), len(values) - len(measured)
    if not all(map(math.isfinite, measured)):
        return Summary(sum(measured), math.nan, count, missing)
    mean = math.fsum(measured) / count if count else math.nan
    squares = math.fsum((value - mean) ** 2 for value in measured)
    return Summary(mean, math.sqrt(squares / (count - 1)) if count > 1 else math.nan, count, missing)


def mean_with_interval(values: Iterable[float]) -> Summary:
    """Returns the mean with half of its 95 % interval by Student's t as the spread."""
    from scipy.stats import t

    plain = summarize(values)
    if plain.count < 2:
        return plain
    return replace(plain, spread=float(t.ppf((1 + CONFIDENCE) / 2, plain.count - 1)) * plain.spread / plain.count**0.5)
