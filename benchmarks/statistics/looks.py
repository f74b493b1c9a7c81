"""Decides again and again while seeds are added, with one error for all looks and all tests.

Seeds come in groups. After each group every open test is judged on all of its seeds so far, at the level of this look
divided by the number of planned tests (Bonferroni). Tests that are decided leave, and so do tests that are given up
because they would need far too many seeds; the divisor stays.

The interval of a test at a look, at 1 − level / (planned tests), misses the true shift with a probability of at most
level / (planned tests). Added up over tests and looks, the chance that any interval of a report ever misses is at most
the sum of the levels, whatever the tests have to do with each other, and whatever makes one leave or stop. Verdicts and
signs are both read from these intervals, so that one error serves all words. (Repeated intervals: Jennison & Turnbull
1989. Holm's correction over the open tests would decide a little earlier, but for directions it has no such proof:
Shaffer 1980.)

Needs no numpy: the plan of a suite has looks.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
"""Chance that a report has a wrong verdict."""
HOPELESS = 2.2
"""A test is given up if it seems to need more than so many times the seeds of the last look; chosen by simulation."""


@dataclass(frozen=True)
class Looks:
    """Plans when tests are judged, and with how much of the error. Raises ValueError for a plan that cannot hold."""

    # Seeds of each arm at each look, all of them so far.
    seeds: tuple[int, ...]
    # The chance of a wrong verdict at each look.
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seeds or len(self.seeds) != len(self.levels):
            raise ValueError(f"{len(self.seeds)} looks have {len(self.levels)} levels")
        if self.seeds[0] < 1 or any(after <= before for before, after in itertools.pairwise(self.seeds)):
            raise ValueError(f"seeds are added at every look, which {self.seeds} does not do")
        if min(self.levels) <= 0 or sum(self.levels) > ALPHA * (1 + 1e-9):
            raise ValueError(f"levels are above 0 and add up to at most {ALPHA:g}, not {self.levels}")

    @property
    def last(self) -> int:
        """The seeds of an arm that is never decided."""
        return self.seeds[-1]


def plan_looks(most: int, least: int = 10) -> Looks:
    """Plans looks at which the seeds double, from `least` to `most`: the first has two fifths of the error.

    The others share the rest. A last look that would add few seeds is moved to `most`. Raises ValueError for a most
    below least.
    """
    if most < least:
        raise ValueError(f"at most {most} seeds are fewer than the {least} of the first look")
    seeds = [least]
    while 2 * seeds[-1] <= most:
        seeds.append(2 * seeds[-1])
    if seeds[-1] < most:
        # A group of less than half the seeds before it hardly changes what is known.
        seeds = [*seeds, most] if most >= 1.5 * seeds[-1] or len(seeds) == 1 else [*seeds[:-1], most]
    later = len(seeds) - 1
    shares = (0.4, *[0.6 / later] * later) if later else (1.0,)
    # Rounded, so that a plan shows and hashes .02 and not .020000000000000018.
    return Looks(tuple(seeds), tuple(round(share * ALPHA, 6) for share in shares))


def holm(p_values: Sequence[float], tests: int = 0) -> list[float]:
    """Returns adjusted p-values, in the given order; below .05 at most 5 % of reports have a false one (Holm 1979).

    tests: number of planned tests; tests without a p-value count as 1.
    """
    tests = max(tests, len(p_values))
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (tests - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def bonferroni(p_values: Sequence[float], tests: int = 0) -> list[float]:
    """Returns p-values times the number of planned tests, at most 1. tests: that number, where not all have a p."""
    return [min(1.0, max(tests, len(p_values)) * p) for p in p_values]


def is_hopeless(needed: float, looks: Looks) -> bool:
    """Tells whether a test that seems to need so many seeds is given up; NaN, where it is unknown, is not."""
    return needed > HOPELESS * looks.last
