"""Measures how often verdicts are wrong, and how often the right ones fall, on simulated runs whose truth is known.

Simulated outcomes have a given shape and are shifted by a given amount; the unit of all shifts is the deviation between
seeds. `calibration_page` puts the figures into docs/calibration.json, and a page of them into docs/calibration.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from benchmarks.statistics.ranks import fewest_seeds, seeds_to_settle, subset_sums, three_sided, two_groups

ALPHA = 0.05
SEEDS = (5, 10, 15, 20)
DISTANCES = (0.5, 1.0, 1.5, 2.0, 3.0)
_CHUNK = 5000  # simulated comparisons at a time, to bound the memory

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def _bimodal(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    # Two modes three deviations of either apart: seeds that collapse, and seeds that do not.
    outcomes = random.normal(0, 1, size) + 3 * random.integers(0, 2, size)
    return (outcomes - 1.5) / np.sqrt(1 + 2.25)


SHAPES: dict[str, Draw] = {
    "normal": lambda random, size: random.normal(0, 1, size),
    "heavy-tailed": lambda random, size: random.standard_t(3, size) / np.sqrt(3),
    "skewed": lambda random, size: random.exponential(1, size) - 1,
    "bimodal": _bimodal,
}
"""Distributions of outcomes over seeds, each with a deviation of 1. Heavy-tailed is Student's t of 3 degrees of
freedom, skewed is exponential."""


@dataclass(frozen=True)
class Simulation:
    """Sets how much is simulated."""

    suites: int = 4000
    tests: int = 40
    """In a suite."""
    margin: float = 1.5
    """In deviations between seeds."""
    comparisons: int = 20_000
    """For one figure."""
    tied_comparisons: int = 10_000
    seed: int = 0


def tails_of_counts(treatment: int, control: int = 0, blocks: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns P(U ≥ u) and P(U ≤ u) of Mann and Whitney's U without ties, for u from 0 to its largest.

    treatment, control: seeds in a block; 0 for as many as the treatment. blocks: over which U is summed, all of one
    size.
    """
    control = control or treatment
    # Doubled ranks have even sums only; the least is that of the first ranks.
    ways = subset_sums(tuple(range(2, 2 * (treatment + control) + 1, 2)), treatment)
    likely = reduce(np.convolve, [ways[treatment * (treatment + 1) :: 2][: treatment * control + 1]] * blocks)
    return likely[::-1].cumsum()[::-1], likely.cumsum()


def differences(treatment: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Returns all differences within each comparison: (comparisons, n) and (comparisons, m) -> (comparisons, n m)."""
    pairs = treatment.shape[1] * control.shape[1]
    return (treatment[:, :, None] - control[:, None, :]).reshape(len(treatment), pairs)


def walsh_averages(values: np.ndarray) -> np.ndarray:
    """Returns the means of all pairs, self-pairs too: (groups, seeds) -> (groups, seeds (seeds + 1) / 2)."""
    rows, columns = np.triu_indices(values.shape[1])
    return (values[:, rows] + values[:, columns]) / 2


def p_values(differences: np.ndarray, low: float, high: float) -> np.ndarray:
    """Computes `statistics.three_sided` for many comparisons at once: (3, comparisons), above, inside and below."""
    greater, less = tails_of_counts(round(differences.shape[1] ** 0.5))
    at_low, at_high = ((differences > margin).sum(axis=1) for margin in (low, high))
    return np.stack([greater[at_high], np.maximum(greater[at_low], less[at_high]), less[at_low]])


def holm_rejects(p: np.ndarray) -> np.ndarray:
    """Tells which p-values of each suite survive Holm's correction at 5 %: (suites, tests) -> the same, bool."""
    order = p.argsort(axis=1, kind="stable")
    steps = np.arange(p.shape[1], 0, -1)
    passed = np.logical_and.accumulate(np.take_along_axis(p, order, axis=1) * steps <= ALPHA, axis=1)
    rejected = np.empty_like(passed)
    np.put_along_axis(rejected, order, passed, axis=1)
    return rejected


def intervals(points: np.ndarray, less: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes `statistics.Shift.interval` at 95 % for many comparisons at once: both ends, (comparisons,) each.

    points: (comparisons, k), whose median is the shift. less: P(statistic ≤ u) for u from 0 to k.
    """
    rejected = int((less <= ALPHA / 2).sum())
    if not rejected:
        return np.full(len(points), -np.inf), np.full(len(points), np.inf)
    ordered = np.sort(points, axis=1)
    return ordered[:, rejected - 1], ordered[:, -rejected]


def measure_coverage(
    plan: Simulation, draw: Draw, seeds: int, random: np.random.Generator, wider: float = 1.0
) -> float:
    """Returns how often the 95 % interval holds the true shift; wider: spread of the treatment over the control's."""
    _, less = tails_of_counts(seeds)
    held = 0
    for size in _chunks(plan.comparisons):
        points = differences(wider * draw(random, (size, seeds)), draw(random, (size, seeds)))
        low, high = intervals(points, less)
        held += int(((low <= 0) & (high >= 0)).sum())
    return held / plan.comparisons


def measure_one_group_coverage(plan: Simulation, draw: Draw, seeds: int, random: np.random.Generator) -> float:
    """Returns how often the 95 % interval of the signed-rank test holds the true pseudo-median of one group."""
    centre = float(np.median(draw(random, (2, 10**6)).mean(axis=0)))
    less = subset_sums(tuple(range(1, seeds + 1)), None).cumsum()
    held = 0
    for size in _chunks(plan.comparisons):
        low, high = intervals(walsh_averages(draw(random, (size, seeds))), less)
        held += int(((low <= centre) & (high >= centre)).sum())
    return held / plan.comparisons


def measure_wrong_suites(
    plan: Simulation, draw: Draw, seeds: int, shift: float, random: np.random.Generator, wider: float = 1.0
) -> float:
    """Returns the share of suites with a wrong verdict, where every comparison has the same true shift.

    At a margin every verdict but "undetermined" is wrong; at zero, those of a difference are.
    """
    p = np.concatenate(
        [
            p_values(
                differences(shift + wider * draw(random, (size, seeds)), draw(random, (size, seeds))),
                -plan.margin,
                plan.margin,
            )
            for size in _chunks(plan.suites * plan.tests)
        ],
        axis=1,
    )
    verdict = p.argmin(axis=0).reshape(plan.suites, plan.tests)
    decided = holm_rejects(np.minimum(1, 2 * p.min(axis=0)).reshape(plan.suites, plan.tests))
    wrong = decided if shift else decided & (verdict != 1)
    return float(wrong.any(axis=1).mean())


def measure_power(
    plan: Simulation, draw: Draw, seeds: int, distance: float, inside: bool, tests: int, random: np.random.Generator
) -> float:
    """Returns how often the right verdict falls, in a report of so many tests of which no other is decided.

    distance: of the true shift from the upper margin, outwards; or of both margins from a shift of zero.
    """
    margin = distance if inside else plan.margin
    shift = 0.0 if inside else margin + distance
    right = 0
    for size in _chunks(plan.comparisons):
        p = p_values(differences(shift + draw(random, (size, seeds)), draw(random, (size, seeds))), -margin, margin)
        named = p.argmin(axis=0) == (1 if inside else 0)
        right += int((named & (2 * tests * p.min(axis=0) <= ALPHA)).sum())
    return right / plan.comparisons


def measure_ties(plan: Simulation, seeds: int, random: np.random.Generator) -> dict[str, dict[str, float]]:
    """Returns coverage, and wrong raw verdicts at the margin, for tied outcomes: few values, and failed runs.

    Calls the functions that decide, one comparison after the other.
    """

    def counts(size: int) -> np.ndarray:
        return random.binomial(8, 0.6, size) / 1.0

    def failing(size: int) -> np.ndarray:
        return np.where(random.random(size) < 0.2, -np.inf, random.normal(0, 1, size))

    figures = {}
    for name, draw, margin in (("modes of 8", counts, 2.0), ("one run in five failed", failing, plan.margin)):
        held = wrong = 0
        for _ in range(plan.tied_comparisons):
            low, high = two_groups(draw(seeds), draw(seeds)).interval()
            held += low <= 0 <= high
            at_margin = two_groups(margin + draw(seeds), draw(seeds))
            wrong += three_sided(at_margin.tails, -margin, margin).p <= ALPHA
        figures[name] = {"coverage": held / plan.tied_comparisons, "wrong": wrong / plan.tied_comparisons}
    return figures


def calibrate(plan: Simulation, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measures every figure; returns JSON values. The same plan gives the same figures."""

    def streams() -> Iterator[np.random.Generator]:
        # One stream per figure, so that none depends on the number of figures before it.
        for number in range(10**6):
            yield np.random.default_rng([plan.seed, number])

    random = streams()
    figures: dict[str, Any] = {"plan": asdict(plan), "seeds": list(SEEDS)}
    say("coverage of the interval")
    figures["coverage"] = {
        name: [measure_coverage(plan, draw, seeds, next(random)) for seeds in SEEDS] for name, draw in SHAPES.items()
    }
    figures["coverage"]["normal, treatment spreads twice as much"] = [
        measure_coverage(plan, SHAPES["normal"], seeds, next(random), wider=2.0) for seeds in SEEDS
    ]
    say("coverage of one group's interval")
    figures["one_group_coverage"] = {
        name: [measure_one_group_coverage(plan, draw, seeds, next(random)) for seeds in SEEDS]
        for name, draw in SHAPES.items()
    }
    say("wrong verdicts in a suite")
    truths = {"no effect": 0.0, "at the upper margin": plan.margin, "at the lower margin": -plan.margin}
    spreads = [(name, draw, 1.0) for name, draw in SHAPES.items()]
    spreads.append(("normal, treatment spreads twice as much", SHAPES["normal"], 2.0))
    figures["wrong_suites"] = {
        str(seeds): {
            name: {
                truth: measure_wrong_suites(plan, draw, seeds, shift, next(random), wider)
                for truth, shift in truths.items()
            }
            for name, draw, wider in spreads
        }
        for seeds in SEEDS[1:3]
    }
    say("ties and failures")
    figures["tied"] = {str(seeds): measure_ties(plan, seeds, next(random)) for seeds in SEEDS[:3]}
    say("power")
    figures["power"] = {
        f"{'inside' if inside else 'outside'}, {tests} test{'s' * (tests > 1)}": {
            name: {
                str(distance): [
                    measure_power(plan, draw, seeds, distance, inside, tests, next(random)) for seeds in SEEDS
                ]
                for distance in DISTANCES
            }
            for name, draw in SHAPES.items()
        }
        for inside in (False, True)
        for tests in (1, plan.tests)
    }
    figures["planning"] = [
        {
            "place": "inside" if inside else "outside",
            "distance": distance,
            "tests": tests,
            "seeds": (seeds := _plan_seeds(plan, distance, inside, tests)),
            "power": measure_power(plan, SHAPES["normal"], seeds, distance, inside, tests, next(random)),
        }
        for inside, distance in ((False, 1.0), (False, 2.0), (True, 1.0), (True, 2.0))
        for tests in (1, plan.tests)
    ]
    figures["fewest_seeds"] = {
        str(tests): {"two groups": fewest_seeds(2, tests), "one group": fewest_seeds(1, tests)}
        for tests in (1, 10, 25, plan.tests, 100)
    }
    return figures


def _plan_seeds(plan: Simulation, distance: float, inside: bool, tests: int) -> int:
    margin = distance if inside else plan.margin
    return int(seeds_to_settle(0.0 if inside else margin + distance, 1.0, -margin, margin, tests=tests))


def render_single_looks(figures: dict[str, Any]) -> str:
    """Returns docs/calibration.md, made from the figures alone."""
    plan = Simulation(**figures["plan"])
    seeds = [f"{count} seeds" for count in figures["seeds"]]

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    def error(draws: int) -> str:
        points = 100 * (ALPHA * (1 - ALPHA) / draws) ** 0.5
        return f"The standard error of a measured 5 % is {points:.1f} percentage points."

    def rows(figures: dict[str, list[float]]) -> list[list[str]]:
        return [[name, *map(percent, values)] for name, values in figures.items()]

    parts = [
        "# Calibration",
        "How often the verdicts of [method.md](method.md) are wrong, and how often they come, measured where the truth "
        "is known: on simulated runs. Made by `python -m tests.soak calibration`, never edited by hand; all figures "
        "are in [calibration.json](calibration.json).",
        f"The unit is the deviation σ between seeds. A margin is {plan.margin:g} σ where nothing else is said. A suite "
        f"has {plan.tests} deciding tests. The shapes of outcomes over seeds: normal; heavy-tailed (Student's t of 3 "
        "degrees of freedom); skewed (exponential); bimodal (two modes 3 of their own deviations apart, as of seeds "
        "that collapse and seeds that do not).",
        "## Wrong verdicts",
        f"Share of {plan.suites:,} suites in which at least one verdict was wrong; at most 5 % is promised. Every "
        "comparison of a suite has the same true shift. At no effect, *supported* and *contradicted* are wrong; at a "
        "margin, which is the worst case, every verdict is but *undetermined*. Comparisons are independent here; those "
        "of a real suite share controls, which Holm's correction allows for. " + error(plan.suites),
    ]
    for count, by_shape in figures["wrong_suites"].items():
        truths = list(next(iter(by_shape.values())))
        body = [[name, *[percent(found[truth]) for truth in truths]] for name, found in by_shape.items()]
        parts.append(table([f"{count} seeds an arm", *truths], body))
    parts += [
        "The last row breaks the assumption of the method, that a treatment shifts outcomes and does not spread them.",
        "## Coverage of the 95 % interval",
        f"Share of {plan.comparisons:,} comparisons whose interval held the true shift. Ranks of few seeds cannot come "
        "nearer to 95 %, and err to the safe side.",
        table(["two groups", *seeds], rows(figures["coverage"])),
        "The same for one group (contrasts within runs, or against a constant), by the signed-rank test; the shift is "
        "that of the pseudo-median. Five seeds have no finite interval.",
        table(["one group", *seeds], rows(figures["one_group_coverage"])),
        "## Ties and failures",
        "Outcomes of few values (how many of 8 modes; margin 2 modes), and runs of which one in five fails in both "
        f"arms; {plan.tied_comparisons:,} comparisons. Wrong: raw verdicts at the margin. The tests are exact under "
        f"ties: at most 5 % of all such verdicts are wrong, whatever is tied. {error(plan.tied_comparisons)}",
        table(
            ["outcome", *[f"{what}, {count} seeds" for count in figures["tied"] for what in ("coverage", "wrong")]],
            [
                [name, *[percent(found[name][what]) for found in figures["tied"].values() for what in found[name]]]
                for name in next(iter(figures["tied"].values()))
            ],
        ),
        "## Power",
        "How often the right verdict falls. *Alone* is the raw verdict; *among* is a deciding test in a suite of "
        f"{plan.tests} of which no other is decided, the hardest place to be.",
    ]
    for place, title in (
        ("outside", "A true shift this far beyond the margin: *supported* (*contradicted* is its mirror image)"),
        ("inside", "No true shift, between margins this far from zero: *no practical difference*"),
    ):
        parts.append(f"{title}. Normal outcomes:")
        alone, among = (figures["power"][f"{place}, {count}"] for count in ("1 test", f"{plan.tests} tests"))
        parts.append(
            table(
                ["distance", *[f"alone, {count}" for count in seeds], *[f"among, {count}" for count in seeds]],
                [
                    [
                        f"{distance} σ",
                        *map(percent, alone["normal"][distance]),
                        *map(percent, among["normal"][distance]),
                    ]
                    for distance in alone["normal"]
                ],
            )
        )
        parts.append("Other shapes at a distance of 1.5 σ:")
        parts.append(
            table(
                ["shape", *[f"alone, {count}" for count in seeds], *[f"among, {count}" for count in seeds]],
                [[name, *map(percent, alone[name]["1.5"]), *map(percent, among[name]["1.5"])] for name in alone],
            )
        )
    parts += [
        "## The seeds that would settle it",
        "What the planning formula asks for at a known shift, aiming at 80 %, and the power that so many seeds then "
        "have; normal outcomes.",
        table(
            ["shift and margin", "tests in the report", "seeds an arm", "power"],
            [
                [
                    f"{found['distance']:g} σ beyond the margin"
                    if found["place"] == "outside"
                    else f"none, margins of {found['distance']:g} σ",
                    str(found["tests"]),
                    str(found["seeds"]),
                    percent(found["power"]),
                ]
                for found in figures["planning"]
            ],
        ),
        "## The fewest seeds that can decide",
        "However large an effect is, ranks of fewer seeds an arm cannot survive the correction for this many tests.",
        table(
            ["tests in the report", "two groups", "one group"],
            [[tests, *map(str, fewest.values())] for tests, fewest in figures["fewest_seeds"].items()],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def table(header: list[str], body: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _chunks(total: int) -> Iterator[int]:
    while total > 0:
        yield min(total, _CHUNK)
        total -= _CHUNK
