"""Measures what looks promise, on simulated suites whose truth is known: wrong verdicts, settled ones, seeds used.

Simulates `statistics.verdicts.decide_at_looks` for many suites at once; a test compares the two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from benchmarks.statistics.looks import ALPHA, HOPELESS, Looks
from benchmarks.statistics.ranks import POWER, fewest_seeds
from tests.soak.calibration import SHAPES, Draw, differences, tails_of_counts

MARGIN = 1.5
"""In deviations between seeds, as in the calibration of single looks."""
SUITES = {1: 40_000, 10: 10_000, 60: 4000}
"""Numbers of simulated suites, by the number of tests in one."""
_DIFFERENCES = 2 * 10**6  # at a time, to bound the memory

OPEN, SUPPORTED, NOTHING, CONTRADICTED = 0, 1, 2, 3

LOOKS = Looks((5, 10, 20, 40), (0.02, 0.01, 0.01, 0.01))
DESIGNS = {
    "fixed, 10 seeds": Looks((10,), (ALPHA,)),
    "fixed, 20 seeds": Looks((20,), (ALPHA,)),
    "looks at 5, 10, 20, 40": LOOKS,
    "looks at 10, 20, 40, 80": Looks((10, 20, 40, 80), (0.02, 0.01, 0.01, 0.01)),
    "looks at 9, 15, 24": Looks((9, 15, 24), (0.02, 0.015, 0.015)),
}
AT_RATES = Looks((6, 12, 24, 39), LOOKS.levels)
"""The looks of `benchmarks.compare --rates`: as many seeds at each of three rates."""


def _cycle(values: tuple[float, ...]) -> Callable[[int], np.ndarray]:
    return lambda tests: np.resize(values, tests)


TRUTHS: dict[str, Callable[[int], np.ndarray]] = {
    "no effect": _cycle((0.0,)),
    "at the upper margin": _cycle((MARGIN,)),
    "at either margin": _cycle((MARGIN, -MARGIN)),
    "mixed: none, at a margin, twice it": _cycle((0.0, MARGIN, 2 * MARGIN, -MARGIN, 0.0, -2 * MARGIN)),
}
"""The shifts of so many tests, in deviations between seeds."""


@dataclass(frozen=True)
class Runs:
    """Draws the outcomes of runs: their shape, their blocks, and whether tests share a control."""

    draw: Draw
    # Of each block: the level of its runs, their spread, and what the treatment's shift is more than in the middle.
    levels: tuple[float, ...] = (0.0,)
    spreads: tuple[float, ...] = (1.0,)
    shifts: tuple[float, ...] = (0.0,)
    one_control: bool = False

    @property
    def blocks(self) -> int:
        """Number of blocks, such as learning rates; seeds go to them in turn."""
        return len(self.levels)

    def make(
        self, truth: np.ndarray, suites: int, seeds: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the outcomes of treatment and control, (suites, tests, seeds) each, of tests with these shifts."""
        shape = (suites, len(truth), seeds)
        treatment = self.draw(random, shape)
        control = self.draw(random, (suites, 1, seeds) if self.one_control else shape)
        levels, spreads, shifts = (np.resize(each, seeds) for each in (self.levels, self.spreads, self.shifts))
        moved = truth[:, None] + levels + shifts
        return moved + spreads * treatment, np.broadcast_to(levels + spreads * control, shape)


SETTINGS: dict[str, tuple[Runs, Looks]] = {
    "one control for all tests": (Runs(SHAPES["normal"], one_control=True), LOOKS),
    "three rates alike": (Runs(SHAPES["normal"], 3 * (0.0,), 3 * (1.0,), 3 * (0.0,)), AT_RATES),
    "three rates, 5 σ apart, spreads of ½, 1 and 2 σ": (
        Runs(SHAPES["normal"], (-5.0, 0.0, 5.0), (0.5, 1.0, 2.0), 3 * (0.0,)),
        AT_RATES,
    ),
    "three rates, 5 σ apart, shifts 1 σ less and more at the outer ones": (
        Runs(SHAPES["normal"], (-5.0, 0.0, 5.0), 3 * (1.0,), (-1.0, 0.0, 1.0)),
        AT_RATES,
    ),
}
"""Of ten tests. The last one breaks the assumption of blocks, that a shift is the same in all of them."""


@dataclass
class Outcome:
    """Holds what became of the tests of all suites: arrays (suites, tests)."""

    verdict: np.ndarray
    # The sign that the interval of an open test shows when it is closed; 0 for none.
    sign: np.ndarray
    # Seeds of each arm.
    seeds: np.ndarray
    # Whether any look said of the open test that the treatment is better, or worse.
    said_better: np.ndarray
    said_worse: np.ndarray

    def wrong(self, truth: np.ndarray) -> np.ndarray:
        """Tells which suites have a wrong verdict on these shifts, (tests,)."""
        false = (self.verdict == SUPPORTED) & (truth <= MARGIN)
        false |= (self.verdict == CONTRADICTED) & (truth >= -MARGIN)
        false |= (self.verdict == NOTHING) & (np.abs(truth) >= MARGIN)
        return false.any(axis=1)

    def wrong_signs(self, truth: np.ndarray) -> np.ndarray:
        """Tells which suites told the wrong sign of an open test at any look."""
        return ((self.said_better & (truth <= 0)) | (self.said_worse & (truth >= 0))).any(axis=1)


def simulate(runs: Runs, truth: np.ndarray, looks: Looks, suites: int, random: np.random.Generator) -> Outcome:
    """Judges suites of tests with these true shifts, (tests,), at the looks."""
    shape = (suites, len(truth))
    sides = runs.make(truth, suites, looks.last, random)
    result = Outcome(*(np.zeros(shape, kind) for kind in (int, int, int, bool, bool)))
    is_open = np.ones(shape, bool)
    for place, (seeds, level) in enumerate(zip(looks.seeds, looks.levels, strict=True)):
        result.seeds[is_open] = seeds
        found = [np.full(shape, np.nan) for _ in range(7)]
        for each, values in zip(found, _judge(*(side[is_open][:, :seeds] for side in sides), runs.blocks), strict=True):
            each[is_open] = values
        above, inside, below, at_least, at_most, estimate, sigma = found
        p = np.where(is_open, np.minimum(1, 2 * np.fmin(np.fmin(above, inside), below)), np.inf)
        decided = p * len(truth) <= level
        result.verdict[decided] = 1 + np.stack([above, inside, below]).argmin(axis=0)[decided]
        is_open &= ~decided
        share = level / (2 * len(truth))
        better, worse = is_open & (at_least <= share), is_open & (at_most <= share)
        result.said_better |= better
        result.said_worse |= worse
        last = place == len(looks.seeds) - 1
        closed = is_open & (last | _hopeless(estimate, sigma, len(truth), level, looks))
        result.sign[closed] = (better.astype(int) - worse)[closed]
        is_open &= ~closed
    return result


def _judge(treatment: np.ndarray, control: np.ndarray, blocks: int = 1) -> np.ndarray:
    """Returns (7, comparisons): p above, inside, below; p of a shift ≤ 0 and ≥ 0; the shift; the pooled deviation."""
    greater, less = tails_of_counts(treatment.shape[1] // blocks, blocks=blocks)
    parts = []
    count = 1 + treatment.shape[1] ** 2 * len(treatment) // blocks // _DIFFERENCES
    for rows in np.array_split(np.arange(len(treatment)), count):
        pairs = [(treatment[rows, block::blocks], control[rows, block::blocks]) for block in range(blocks)]
        each = np.concatenate([differences(*pair) for pair in pairs], axis=1)
        low, zero, high = ((each > at).sum(axis=1) for at in (-MARGIN, 0.0, MARGIN))
        variances = [group.var(axis=1, ddof=1) for pair in pairs for group in pair]
        parts.append(
            np.stack(
                [
                    greater[high],
                    np.maximum(greater[low], less[high]),
                    less[low],
                    greater[zero],
                    less[zero],
                    np.median(each, axis=1),
                    np.sqrt(np.mean(variances, axis=0)),
                ]
            )
        )
    return np.concatenate(parts, axis=1)


def needed_seeds(estimate: np.ndarray, sigma: np.ndarray, tests: int, alpha: float) -> np.ndarray:
    """Computes `statistics.seeds_to_settle` without a limit for many comparisons at once.

    tests: that share the error. NaN estimates stay.
    """
    z, power, half_power = _quantiles(1 - alpha / (2 * tests), POWER, (1 + POWER) / 2)
    least = fewest_seeds(2, tests, alpha)
    nearest = np.maximum(np.maximum(estimate - MARGIN, -MARGIN - estimate), MARGIN - np.abs(estimate))
    with np.errstate(divide="ignore"):
        needed = 2 * (z + power) ** 2 * (sigma / nearest) ** 2
    both = 2 * (z + half_power) ** 2 * (sigma / MARGIN) ** 2
    needed = np.where(np.abs(estimate) < MARGIN, np.fmax(needed, both), needed)
    needed = np.ceil(np.maximum(needed * np.pi / 3 + z**2 / 4, least))
    return np.where(nearest > 0, needed, np.where(np.isnan(estimate), np.nan, np.inf))


@cache
def _quantiles(*shares: float) -> list[float]:
    from scipy.stats import norm

    return norm.ppf(shares).tolist()


def _hopeless(estimate: np.ndarray, sigma: np.ndarray, tests: int, level: float, looks: Looks) -> np.ndarray:
    """Tells which tests are given up, as `statistics.is_hopeless` does."""
    return needed_seeds(estimate, sigma, tests, level) > HOPELESS * looks.last


@dataclass(frozen=True)
class Row:
    """Defines one row of the table: how many tests, of which truth and which runs, are judged by which design."""

    tests: int
    truth: str
    shape: str
    design: str
    runs: Runs = field(compare=False)
    looks: Looks = field(compare=False)

    def measure(self, suites: int, stream: tuple[int, ...]) -> dict[str, Any]:
        """Simulates so many suites; returns JSON values. stream: of the random numbers."""
        truth = TRUTHS[self.truth](self.tests)
        outcome = simulate(self.runs, truth, self.looks, suites, np.random.default_rng(stream))
        wrong, signs = outcome.wrong(truth), outcome.wrong_signs(truth)
        # At a margin there is nothing to settle.
        can_be = ~np.isclose(np.abs(truth), MARGIN)
        return {
            "tests": self.tests,
            "truth": self.truth,
            "shape": self.shape,
            "design": self.design,
            "suites": suites,
            "wrong": float(wrong.mean()),
            "wrong_signs": float(signs.mean()),
            "either": float((wrong | signs).mean()),
            "settled": float((outcome.verdict != OPEN)[:, can_be].mean()) if can_be.any() else None,
            "seeds": float(outcome.seeds.mean()),
        }


def list_rows() -> Iterator[Row]:
    """Yields every design under every truth: all numbers of tests, all shapes of outcomes, blocks, a shared control."""
    looks = "looks at 5, 10, 20, 40"
    for tests in SUITES:
        # A single test has one shift.
        for truth in TRUTHS if tests > 1 else list(TRUTHS)[:2]:
            for design in DESIGNS:
                yield Row(tests, truth, "normal", design, Runs(SHAPES["normal"]), DESIGNS[design])
            for shape in SHAPES:
                if shape != "normal":
                    yield Row(tests, truth, shape, looks, Runs(SHAPES[shape]), DESIGNS[looks])
    for name, (runs, at) in SETTINGS.items():
        for truth in TRUTHS:
            yield Row(10, truth, name, f"looks at {', '.join(map(str, at.seeds))}", runs, at)


def measure(
    size: float, done: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]], seed: int = 0
) -> list[dict[str, Any]]:
    """Measures every row. size: share of SUITES. done: (name, how to measure) -> figures; it may know them already."""
    return [
        done(
            f"{row.tests} tests, {row.truth}, {row.shape}, {row.design}",
            lambda row=row, place=place: row.measure(max(2, round(size * SUITES[row.tests])), (seed, place)),
        )
        for place, row in enumerate(list_rows())
    ]
