"""Measures what looks promise, on simulated suites whose truth is known: wrong verdicts, settled ones, seeds used.

Simulates `statistics.verdicts.decide_at_looks` for many suites at once; a test compares the two.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.statistics.looks import ALPHA, Looks, is_hopeless
from benchmarks.statistics.ranks import seeds_to_settle
from tests.soak.calibration import SHAPES, Draw, differences, tails_of_counts

MARGIN = 1.5
"""In deviations between seeds, as in the calibration of single looks."""
_DIFFERENCES = 2 * 10**7  # at a time, to bound the memory

OPEN, SUPPORTED, NOTHING, CONTRADICTED = 0, 1, 2, 3

DESIGNS = {
    "fixed, 10 seeds": Looks((10,), (ALPHA,)),
    "fixed, 20 seeds": Looks((20,), (ALPHA,)),
    "looks at 5, 10, 20, 40": Looks((5, 10, 20, 40), (0.02, 0.01, 0.01, 0.01)),
    "looks at 10, 20, 40, 80": Looks((10, 20, 40, 80), (0.02, 0.01, 0.01, 0.01)),
    "looks at 9, 15, 24": Looks((9, 15, 24), (0.02, 0.015, 0.015)),
}


def _cycle(values: tuple[float, ...]) -> Callable[[int], np.ndarray]:
    return lambda tests: np.resize(values, tests)


TRUTHS: dict[str, Callable[[int], np.ndarray]] = {
    "no effect": _cycle((0.0,)),
    "at the upper margin": _cycle((MARGIN,)),
    "at either margin": _cycle((MARGIN, -MARGIN)),
    "mixed: none, at a margin, twice it": _cycle((0.0, MARGIN, 2 * MARGIN, -MARGIN, 0.0, -2 * MARGIN)),
}
"""The shifts of so many tests, in deviations between seeds."""


@dataclass
class Outcome:
    """Holds what became of the tests of all suites: arrays (suites, tests)."""

    verdict: np.ndarray
    # The sign that the interval of an open test shows when it is closed; 0 for none.
    sign: np.ndarray
    # Seeds of each arm.
    seeds: np.ndarray

    def wrong(self, truth: np.ndarray) -> np.ndarray:
        """Tells which suites say something wrong of these shifts, (tests,)."""
        false = (self.verdict == SUPPORTED) & (truth <= MARGIN)
        false |= (self.verdict == CONTRADICTED) & (truth >= -MARGIN)
        false |= (self.verdict == NOTHING) & (np.abs(truth) >= MARGIN)
        false |= (self.sign > 0) & (truth <= 0)
        false |= (self.sign < 0) & (truth >= 0)
        return false.any(axis=1)


def simulate(draw: Draw, truth: np.ndarray, looks: Looks, suites: int, random: np.random.Generator) -> Outcome:
    """Judges suites of tests with these true shifts, (tests,), at the looks."""
    shape = (suites, len(truth))
    runs = [draw(random, (*shape, looks.last)) for _ in range(2)]
    runs[0] += truth[:, None]
    result = Outcome(np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, int))
    is_open = np.ones(shape, bool)
    for place, (seeds, level) in enumerate(zip(looks.seeds, looks.levels, strict=True)):
        result.seeds[is_open] = seeds
        # What was decided is not counted any more; what was given up is.
        counted = (result.verdict == OPEN).sum(axis=1)
        found = [np.full(shape, np.nan) for _ in range(7)]
        for each, values in zip(found, _judge(*(side[is_open][:, :seeds] for side in runs)), strict=True):
            each[is_open] = values
        above, inside, below, at_least, at_most, estimate, sigma = found
        p = np.where(is_open, np.minimum(1, 2 * np.fmin(np.fmin(above, inside), below)), np.inf)
        decided, rest = _holm(p, counted, level)
        result.verdict[decided] = 1 + np.stack([above, inside, below]).argmin(axis=0)[decided]
        is_open &= ~decided
        last = place == len(looks.seeds) - 1
        hopeless = is_open & (last | _hopeless(estimate, sigma, counted, level, looks, is_open))
        share = (level / np.maximum(1, rest) / 2)[:, None]
        result.sign[hopeless] = ((at_least <= share).astype(int) - (at_most <= share))[hopeless]
        is_open &= ~hopeless
    return result


def _judge(treatment: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Returns (7, comparisons): p above, inside, below; p of a shift ≤ 0 and ≥ 0; the shift; the pooled deviation."""
    greater, less = tails_of_counts(treatment.shape[1])
    parts = []
    for rows in np.array_split(np.arange(len(treatment)), 1 + treatment.shape[1] ** 2 * len(treatment) // _DIFFERENCES):
        each = differences(treatment[rows], control[rows])
        low, zero, high = ((each > at).sum(axis=1) for at in (-MARGIN, 0.0, MARGIN))
        pooled = np.sqrt((treatment[rows].var(axis=1, ddof=1) + control[rows].var(axis=1, ddof=1)) / 2)
        inside = np.maximum(greater[low], less[high])
        parts.append(
            np.stack([greater[high], inside, less[low], greater[zero], less[zero], np.median(each, axis=1), pooled])
        )
    return np.concatenate(parts, axis=1)


def _holm(p: np.ndarray, counted: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns which tests each suite decides at a level, and how many counted ones that leaves; p: inf is not open."""
    order = p.argsort(axis=1, kind="stable")
    steps = counted[:, None] - np.arange(p.shape[1])
    ordered = np.take_along_axis(p, order, axis=1)
    is_open = np.isfinite(ordered)
    passed = np.logical_and.accumulate(is_open & (np.where(is_open, ordered, 1.0) * steps <= level), axis=1)
    decided = np.empty_like(passed)
    np.put_along_axis(decided, order, passed, axis=1)
    return decided, counted - decided.sum(axis=1)


def _hopeless(
    estimate: np.ndarray, sigma: np.ndarray, counted: np.ndarray, level: float, looks: Looks, among: np.ndarray
) -> np.ndarray:
    """Tells which of these tests are given up, by the function that decides."""
    found = np.zeros(among.shape, bool)
    for suite, test in zip(*among.nonzero(), strict=True):
        shift, deviation = float(estimate[suite, test]), float(sigma[suite, test])
        needed = seeds_to_settle(
            shift, deviation, -MARGIN, MARGIN, tests=int(counted[suite]), alpha=level, most=math.inf
        )
        found[suite, test] = is_hopeless(needed, looks)
    return found


def measure(suites: int, seed: int = 0, say: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """Measures every design under every truth, for several numbers of tests and all shapes of outcomes."""
    rows = []
    for tests in (1, 10, 60):
        for truth_name, make in TRUTHS.items():
            for shape, draw in SHAPES.items():
                for place, (design, looks) in enumerate(DESIGNS.items()):
                    if shape != "normal" and design != "looks at 5, 10, 20, 40":
                        continue
                    say(f"{tests} tests, {truth_name}, {shape}, {design}")
                    random = np.random.default_rng([seed, tests, place])
                    truth, count = make(tests), max(suites // tests, 200)
                    outcome = simulate(draw, truth, looks, count, random)
                    wrong = float(outcome.wrong(truth).mean())
                    rows.append(
                        {
                            "tests": tests,
                            "truth": truth_name,
                            "shape": shape,
                            "design": design,
                            "suites": count,
                            "wrong": wrong,
                            "error": float(np.sqrt(max(wrong * (1 - wrong), 1 / count) / count)),
                            "settled": float((outcome.verdict != OPEN).mean()),
                            "seeds": float(outcome.seeds.mean()),
                        }
                    )
    return rows
