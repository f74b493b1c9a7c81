"""Decides again and again while seeds are added, with one error for all looks.

Seeds come in groups. After each group every open test is judged on all of its seeds so far: the p-values of the open
tests go through Holm's correction at the level of this look. Tests that are decided leave; tests that are given up,
because they would need far too many seeds, stay in the count as if their p were 1.

The chance of any wrong verdict is to be at most the sum of the levels. Let T be the tests whose shift is just at a
margin, so that every verdict on them is wrong, and suppose that none of them has been decided yet. Then all of T are
still counted at this look, open or given up. The first of T that Holm's correction decides has a p of at most
level / |T|, because at most (count − |T|) others went before it. Some p of |T| exact ones is so small with a
probability of at most the level, whatever the tests have to do with each other. So the first wrong verdict on T falls
at look k with a probability of at most the level of look k; and looks are added up. Whether a test is given up may
depend on its numbers in any way, since it only stays in the count. A test away from its margins may leave by a right
verdict, and then T is not all that can go wrong: for such tests the bound is not proved (nor is it for Holm's
correction of directions, Shaffer 1980), and docs/calibration.md measures it.

The sign that the interval of an open test shows has an error of its own, of the same size: the chance that any such
sign is wrong at any look is at most the sum of the levels. Here a test with no effect may leave the count by a right
verdict, and the tests that are left are those whose numbers lie farthest from zero. So the interval of a test that
stays open is corrected for all tests that were planned, whatever became of them (Bonferroni).

Needs no numpy: the plan of a suite has looks.
"""

import itertools
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Look:
    """Holds what one look decided."""

    # Counted from 1.
    number: int
    level: float
    # Tests that the correction counts: the open ones, and those that were given up.
    counted: int
    # p-values of the open tests after the correction: at most `level` where the test is decided.
    adjusted: Mapping[str, float]
    # The confidence of the interval of each open test that agrees with its verdict.
    confidence: Mapping[str, float]

    @property
    def decided(self) -> tuple[str, ...]:
        """The tests that this look decides."""
        return tuple(name for name, p in self.adjusted.items() if p <= self.level)


def take_look(number: int, level: float, p_values: Mapping[str, float], given_up: int = 0, settled: int = 0) -> Look:
    """Judges the open tests at a look.

    A decided test has the interval at 1 − level / m, where m is the number of tests that were left when Holm's
    correction came to it. All other tests have that at 1 − level / all, where all is the number of planned tests.

    p_values: of all seeds so far. given_up: tests that are counted and not judged. settled: tests that earlier looks
    decided.
    """
    counted = len(p_values) + given_up
    adjusted = dict(zip(p_values, holm(list(p_values.values()), counted), strict=True))
    decided = [name for name in sorted(p_values, key=p_values.__getitem__) if adjusted[name] <= level]
    left = {name: counted - place for place, name in enumerate(decided)}
    confidence = {name: 1 - level / left.get(name, counted + settled) for name in p_values}
    return Look(number, level, counted, adjusted, confidence)


def is_hopeless(needed: float, looks: Looks) -> bool:
    """Tells whether a test that seems to need so many seeds is given up; NaN, where it is unknown, is not."""
    return needed > HOPELESS * looks.last
