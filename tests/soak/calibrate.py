"""python -m tests.soak.calibrate: how often verdicts are wrong, and how often they come, on simulated runs.

The truth is known there: outcomes of a given shape, shifted by a given amount. What is measured is written down in
docs/calibration.md, and whole in docs/calibration.json. The unit of all shifts is the deviation between seeds.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cli.options import Parser, run_command
from reports.analysis.statistics import fewest_seeds, seeds_to_settle, subset_sums, three_sided, two_groups
from variants.recipe import UserError

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
"""Outcomes over seeds, each with a deviation of 1. Heavy-tailed is Student's t of 3 degrees, skewed is exponential."""


@dataclass(frozen=True)
class Plan:
    """What is simulated. tests: in a suite. margin: in deviations between seeds. comparisons: for one figure."""

    suites: int = 4000
    tests: int = 40
    margin: float = 1.5
    comparisons: int = 20_000
    tied_comparisons: int = 1000
    seed: int = 0


def tails_of_counts(seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """P(U ≥ u) and P(U ≤ u) of Mann and Whitney's U without ties, (seeds² + 1,) each, for groups of one size."""
    ranks = tuple(range(2, 4 * seeds + 1, 2))
    # Doubled ranks have even sums only; the least is that of the first ranks.
    likely = subset_sums(ranks, seeds)[seeds * (seeds + 1) :: 2][: seeds**2 + 1]
    return likely[::-1].cumsum()[::-1], likely.cumsum()


def differences(treatment: np.ndarray, control: np.ndarray) -> np.ndarray:
    """All differences within each comparison: (comparisons, seeds) twice -> (comparisons, seeds²)."""
    return (treatment[:, :, None] - control[:, None, :]).reshape(len(treatment), -1)


def walsh_averages(values: np.ndarray) -> np.ndarray:
    """The means of all pairs of values, each with itself too: (groups, seeds) -> (groups, seeds (seeds + 1) / 2)."""
    rows, columns = np.triu_indices(values.shape[1])
    return (values[:, rows] + values[:, columns]) / 2


def p_values(differences: np.ndarray, low: float, high: float) -> np.ndarray:
    """`statistics.three_sided` for many comparisons at once: (3, comparisons), above, inside and below."""
    greater, less = tails_of_counts(round(differences.shape[1] ** 0.5))
    at_low, at_high = ((differences > margin).sum(axis=1) for margin in (low, high))
    return np.stack([greater[at_high], np.maximum(greater[at_low], less[at_high]), less[at_low]])


def holm_rejects(p: np.ndarray) -> np.ndarray:
    """Which p-values of each suite survive Holm's correction at 5 %: (suites, tests) -> the same, bool."""
    order = p.argsort(axis=1, kind="stable")
    steps = np.arange(p.shape[1], 0, -1)
    passed = np.logical_and.accumulate(np.take_along_axis(p, order, axis=1) * steps <= ALPHA, axis=1)
    rejected = np.empty_like(passed)
    np.put_along_axis(rejected, order, passed, axis=1)
    return rejected


def intervals(points: np.ndarray, less: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """reports.analysis.statistics.Shift.interval at 95 %, for many at once: both ends, (comparisons,) each.

    points: (comparisons, k), what the shift is the median of. less: P(statistic ≤ u) for u from 0 to k.
    """
    rejected = int((less <= ALPHA / 2).sum())
    if not rejected:
        return np.full(len(points), -np.inf), np.full(len(points), np.inf)
    ordered = np.sort(points, axis=1)
    return ordered[:, rejected - 1], ordered[:, -rejected]


def coverage(plan: Plan, draw: Draw, seeds: int, random: np.random.Generator, wider: float = 1.0) -> float:
    """How often the 95 % interval holds the true shift. wider: how much more the treatment spreads than the control."""
    _, less = tails_of_counts(seeds)
    held = 0
    for size in _chunks(plan.comparisons):
        points = differences(wider * draw(random, (size, seeds)), draw(random, (size, seeds)))
        low, high = intervals(points, less)
        held += int(((low <= 0) & (high >= 0)).sum())
    return held / plan.comparisons


def one_group_coverage(plan: Plan, draw: Draw, seeds: int, random: np.random.Generator) -> float:
    """How often the 95 % interval of the signed-rank test holds the true pseudo-median of one group."""
    centre = float(np.median(draw(random, (2, 10**6)).mean(axis=0)))
    less = subset_sums(tuple(range(1, seeds + 1)), None).cumsum()
    held = 0
    for size in _chunks(plan.comparisons):
        low, high = intervals(walsh_averages(draw(random, (size, seeds))), less)
        held += int(((low <= centre) & (high >= centre)).sum())
    return held / plan.comparisons


def wrong_suites(
    plan: Plan, draw: Draw, seeds: int, shift: float, random: np.random.Generator, wider: float = 1.0
) -> float:
    """The share of suites with a wrong verdict, where every comparison has the same true shift.

    At a margin every verdict is wrong but "undetermined"; at zero, those that say there is a difference.
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


def power(
    plan: Plan, draw: Draw, seeds: int, distance: float, inside: bool, tests: int, random: np.random.Generator
) -> float:
    """How often the right verdict falls, in a report of so many tests of which no other is decided.

    distance: of the true shift from the upper margin, to the outside; or of both margins from a shift of zero.
    """
    margin = distance if inside else plan.margin
    shift = 0.0 if inside else margin + distance
    right = 0
    for size in _chunks(plan.comparisons):
        p = p_values(differences(shift + draw(random, (size, seeds)), draw(random, (size, seeds))), -margin, margin)
        named = p.argmin(axis=0) == (1 if inside else 0)
        right += int((named & (2 * tests * p.min(axis=0) <= ALPHA)).sum())
    return right / plan.comparisons


def tied(plan: Plan, seeds: int, random: np.random.Generator) -> dict[str, dict[str, float]]:
    """Coverage, and wrong raw verdicts at the margin, where outcomes are tied: few values, and failed runs.

    By the very functions that decide, one comparison after the other.
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


def calibrate(plan: Plan, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Every figure, as JSON values; the same plan gives the same figures."""

    def streams() -> Iterator[np.random.Generator]:
        # One stream a figure, so that none depends on how many others there are before it.
        for number in range(10**6):
            yield np.random.default_rng([plan.seed, number])

    random = streams()
    figures: dict[str, Any] = {"plan": asdict(plan), "seeds": list(SEEDS)}
    say("coverage of the interval")
    figures["coverage"] = {
        name: [coverage(plan, draw, seeds, next(random)) for seeds in SEEDS] for name, draw in SHAPES.items()
    }
    figures["coverage"]["normal, treatment spreads twice as much"] = [
        coverage(plan, SHAPES["normal"], seeds, next(random), wider=2.0) for seeds in SEEDS
    ]
    say("coverage of one group's interval")
    figures["one_group_coverage"] = {
        name: [one_group_coverage(plan, draw, seeds, next(random)) for seeds in SEEDS] for name, draw in SHAPES.items()
    }
    say("wrong verdicts in a suite")
    truths = {"no effect": 0.0, "at the upper margin": plan.margin, "at the lower margin": -plan.margin}
    spreads = [(name, draw, 1.0) for name, draw in SHAPES.items()]
    spreads.append(("normal, treatment spreads twice as much", SHAPES["normal"], 2.0))
    figures["wrong_suites"] = {
        str(seeds): {
            name: {
                truth: wrong_suites(plan, draw, seeds, shift, next(random), wider) for truth, shift in truths.items()
            }
            for name, draw, wider in spreads
        }
        for seeds in SEEDS[1:3]
    }
    say("ties and failures")
    figures["tied"] = {str(seeds): tied(plan, seeds, next(random)) for seeds in SEEDS[:3]}
    say("power")
    figures["power"] = {
        f"{'inside' if inside else 'outside'}, {tests} test{'s' * (tests > 1)}": {
            name: {
                str(distance): [power(plan, draw, seeds, distance, inside, tests, next(random)) for seeds in SEEDS]
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
            "seeds": (seeds := _planned(plan, distance, inside, tests)),
            "power": power(plan, SHAPES["normal"], seeds, distance, inside, tests, next(random)),
        }
        for inside, distance in ((False, 1.0), (False, 2.0), (True, 1.0), (True, 2.0))
        for tests in (1, plan.tests)
    ]
    figures["fewest_seeds"] = {
        str(tests): {"two groups": fewest_seeds(2, tests), "one group": fewest_seeds(1, tests)}
        for tests in (1, 10, 25, plan.tests, 100)
    }
    return figures


def _planned(plan: Plan, distance: float, inside: bool, tests: int) -> int:
    margin = distance if inside else plan.margin
    return int(seeds_to_settle(0.0 if inside else margin + distance, 1.0, -margin, margin, tests=tests))


def page(figures: dict[str, Any]) -> str:
    """docs/calibration.md, from the figures alone."""
    plan = Plan(**figures["plan"])
    seeds = [f"{count} seeds" for count in figures["seeds"]]

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    def rows(figures: dict[str, list[float]]) -> list[list[str]]:
        return [[name, *map(percent, values)] for name, values in figures.items()]

    parts = [
        "# Calibration",
        "How often the verdicts of [method.md](method.md) are wrong, and how often they come, measured where the truth "
        "is known: on simulated runs. Made by `python -m tests.soak.calibrate`, never edited by hand; all figures are "
        "in [calibration.json](calibration.json).",
        f"The unit is the deviation σ between seeds. A margin is {plan.margin:g} σ where nothing else is said. A suite "
        f"has {plan.tests} deciding tests. The shapes of outcomes over seeds: normal; heavy-tailed (Student's t of 3 "
        "degrees of freedom); skewed (exponential); bimodal (two modes 3 of their own deviations apart, as of seeds "
        "that collapse and seeds that do not).",
        "## Wrong verdicts",
        f"Share of {plan.suites:,} suites in which at least one verdict was wrong; at most 5 % is promised. Every "
        "comparison of a suite has the same true shift. At no effect, *supported* and *contradicted* are wrong; at a "
        "margin, which is the worst case, every verdict is but *undetermined*. Comparisons are independent here; those "
        "of a real suite share controls, which Holm's correction allows for.",
    ]
    for count, by_shape in figures["wrong_suites"].items():
        truths = list(next(iter(by_shape.values())))
        body = [[name, *[percent(found[truth]) for truth in truths]] for name, found in by_shape.items()]
        parts.append(_table([f"{count} seeds an arm", *truths], body))
    parts += [
        "The last row breaks the assumption of the method, that a treatment shifts outcomes and does not spread them.",
        "## Coverage of the 95 % interval",
        f"Share of {plan.comparisons:,} comparisons whose interval held the true shift. Ranks of few seeds cannot come "
        "nearer to 95 %, and err to the safe side.",
        _table(["two groups", *seeds], rows(figures["coverage"])),
        "The same for one group (contrasts within runs, or against a constant), by the signed-rank test; the shift is "
        "that of the pseudo-median. Five seeds have no finite interval.",
        _table(["one group", *seeds], rows(figures["one_group_coverage"])),
        "## Ties and failures",
        "Outcomes of few values (how many of 8 modes; margin 2 modes), and runs of which one in five fails in both "
        f"arms; {plan.tied_comparisons:,} comparisons. Wrong: raw verdicts at the margin, of which at most 5 % may be.",
        _table(
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
            _table(
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
            _table(
                ["shape", *[f"alone, {count}" for count in seeds], *[f"among, {count}" for count in seeds]],
                [[name, *map(percent, alone[name]["1.5"]), *map(percent, among[name]["1.5"])] for name in alone],
            )
        )
    parts += [
        "## The seeds that would settle it",
        "What the planning formula asks for at a known shift, aiming at 80 %, and the power that so many seeds then "
        "have; normal outcomes.",
        _table(
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
        _table(
            ["tests in the report", "two groups", "one group"],
            [[tests, *map(str, fewest.values())] for tests, fewest in figures["fewest_seeds"].items()],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: list[str], body: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _chunks(total: int) -> Iterator[int]:
    while total > 0:
        yield min(total, _CHUNK)
        total -= _CHUNK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser("tests.soak.calibrate", description=__doc__.partition(": ")[2].partition("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="DIR", help="where to write (docs)")
    parser.add_argument(
        "--suites", type=int, default=Plan.suites, metavar="N", help=f"simulated suites ({Plan.suites})"
    )
    options = parser.parse_args(arguments)
    if options.suites < 1:
        raise UserError("--suites is at least 1")
    share = options.suites / Plan.suites
    plan = Plan(
        suites=options.suites,
        comparisons=max(1, round(share * Plan.comparisons)),
        tied_comparisons=max(1, round(share * Plan.tied_comparisons)),
    )
    figures = calibrate(plan, say=lambda line: print(line, flush=True))
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("calibration.json", json.dumps(figures, indent=1) + "\n"),
            ("calibration.md", page(figures)),
        ):
            (options.out / name).write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {options.out / name}")
    except OSError as error:
        raise UserError(f"cannot write to {options.out}: {error.strerror or error}") from error
    return 0


if __name__ == "__main__":
    run_command(main)
