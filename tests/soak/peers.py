"""Measures what other methods decide of the same simulated numbers, by their own packages.

A report has five treatments and one control, with normal outcomes. The other methods have no margins, but for one, so
each is taken twice: as it is made, and with the margin handed to it, as its intervals or its null hypothesis allow. The
figures go into docs/calibration.json, and as a table into docs/calibration.md. The packages are no dependency, so this
part runs only where it is named:

    pip install --no-deps --target PEERS rliable==1.2.0 autorank==1.3.0 adastop==0.1.3 arch==7.2.0 statsmodels patsy \\
        baycomp absl-py tabulate click seaborn jinja2 markupsafe 'pandas<3' pytz tzdata
    PYTHONPATH=PEERS python -m tests.soak peers
"""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.statistics.looks import ALPHA, Looks
from tests.soak import looks
from tests.soak.calibration import SHAPES
from tests.soak.calibration_page import DOCS, write_figures
from tests.soak.figures import Steps, code
from variants.recipe import UserError

PACKAGES = ("rliable", "autorank", "adastop")
TREATMENTS = 5
MARGIN = looks.MARGIN
TRUTHS = {"no effect": 0.0, "margin": MARGIN, "twice": 2 * MARGIN}
SEEDS = 10
"""Of methods whose seeds are fixed."""
OWN_REPORTS = 10_000
"""Simulated reports of this project's looks."""
REPLICATES = 1000
"""Of a bootstrap; rliable's default is 50,000."""
POSTERIOR_SAMPLES = 5000
"""Of autorank, whose default is 50,000."""

DIFFERS, BEYOND, LESS, EQUAL, OPEN = "differs", "by more than the margin", "by less", "no practical difference", "open"
"""What is told of a treatment. DIFFERS says nothing of the margin; LESS says that it is not better by as much."""


@dataclass(frozen=True)
class Told:
    """Holds what a method tells of the treatments of one report, and the seeds that each took."""

    words: tuple[str, ...]
    seeds: float = SEEDS


Method = Callable[[np.ndarray, int], Told]
"""(outcomes of the control and of each treatment, (1 + TREATMENTS, seeds), number of the report) -> what is told."""


def by_interval(low: float, high: float, margin: float) -> str:
    """Returns what an interval of a difference tells; margin: 0 for a method that has none."""
    if not margin:
        return DIFFERS if low > 0 or high < 0 else OPEN
    if low > margin or high < -margin:
        return BEYOND
    return EQUAL if -margin < low and high < margin else OPEN


def welch(outcomes: np.ndarray, report: int, margin: float = 0.0) -> Told:
    """Judges by Welch's (1947) t-intervals, with Bonferroni's correction for the treatments."""
    from scipy.stats import ttest_ind

    control, *treatments = outcomes[:, :SEEDS]
    intervals = [
        ttest_ind(each, control, equal_var=False).confidence_interval(1 - ALPHA / TREATMENTS) for each in treatments
    ]
    return Told(tuple(by_interval(each.low, each.high, margin) for each in intervals))


def rliable(outcomes: np.ndarray, report: int, margin: float = 0.0) -> Told:
    """Judges by rliable's bootstrap interval of the difference of interquartile means (Agarwal et al. 2021)."""
    # The interval moves with the treatments, so one bootstrap serves every shift of a report.
    shift = float(outcomes[1, 0] - make_report(0.0, report)[1, 0])
    return Told(tuple(by_interval(low + shift, high + shift, margin) for low, high in _rliable_intervals(report)))


@cache
def _rliable_intervals(report: int) -> list[tuple[float, float]]:
    from rliable.library import get_interval_estimates
    from rliable.metrics import aggregate_iqm

    # It draws from the global state.
    np.random.seed(report)  # noqa: NPY002
    control, *treatments = (each[:SEEDS, None] for each in make_report(0.0, report))
    _, intervals = get_interval_estimates(
        {place: [each, control] for place, each in enumerate(treatments)},
        lambda above, below: np.array([aggregate_iqm(above) - aggregate_iqm(below)]),
        reps=REPLICATES,
    )
    return [tuple(map(float, intervals[place].ravel())) for place in range(TREATMENTS)]


def autorank(outcomes: np.ndarray, report: int) -> Told:
    """Judges by autorank's own choice of tests (Herbold 2020); it takes runs of one number as one block."""
    import pandas as pd
    from autorank import autorank as rank

    found = _quiet(rank, pd.DataFrame(outcomes[:, :SEEDS].T, columns=list("cabdef")), alpha=ALPHA, verbose=False)
    table = found.rankdf
    if found.pvalue >= ALPHA:
        return Told((OPEN,) * TREATMENTS)
    if found.posthoc == "nemenyi":
        apart = [abs(table.meanrank[name] - table.meanrank["c"]) > found.cd for name in "abdef"]
    else:
        own = table.ci_lower["c"], table.ci_upper["c"]
        apart = [table.ci_lower[name] > own[1] or table.ci_upper[name] < own[0] for name in "abdef"]
    return Told(tuple(DIFFERS if each else OPEN for each in apart))


def autorank_bayesian(outcomes: np.ndarray, report: int) -> Told:
    """Judges by autorank's Bayesian signed-rank test (Benavoli et al. 2014), whose region of equivalence is ±MARGIN."""
    import pandas as pd
    from autorank import autorank as rank

    control, *treatments = outcomes[:, :SEEDS]
    words = []
    for each in treatments:
        found = _quiet(
            rank,
            pd.DataFrame({"treatment": each, "control": control}),
            alpha=ALPHA,
            approach="bayesian",
            rope=MARGIN,
            rope_mode="absolute",
            nsamples=POSTERIOR_SAMPLES,
            random_state=report,
        )
        decision = found.decision_matrix.loc["treatment", "control"]
        words.append({"equal": EQUAL, "larger": BEYOND, "smaller": BEYOND}.get(decision, OPEN))
    return Told(tuple(words))


def adastop(outcomes: np.ndarray, report: int, margin: float = 0.0) -> Told:
    """Judges by AdaStop (Mathieu et al. 2023): permutation tests after each group of seeds.

    margin: is taken off the treatments, whose null hypothesis is then that they are better by just that.
    """
    shift = float(outcomes[1, 0] - make_report(0.0, report)[1, 0]) - margin
    decisions, seeds = _adastop_decisions(report, round(shift, 6))
    # What it calls equal is what it did not find to differ: it accepts nothing by default. It names the first of a
    # pair, the control.
    said = {"equal": OPEN, "smaller": BEYOND, "larger": LESS} if margin else {"equal": OPEN}
    return Told(tuple(said.get(decision, DIFFERS) for decision in decisions), seeds)


@cache
def _adastop_decisions(report: int, shift: float, groups: int = 8, size: int = 5) -> tuple[tuple[str, ...], float]:
    """Returns the decision on each treatment, and the mean of their seeds."""
    from adastop import MultipleAgentsComparator

    outcomes = make_report(shift, report, groups * size)
    names = ["control", *(f"treatment {place}" for place in range(TREATMENTS))]
    pairs = np.array([(0, place) for place in range(1, 1 + TREATMENTS)])
    judge = MultipleAgentsComparator(n=size, K=groups, B=10_000, comparisons=pairs, alpha=ALPHA, seed=report)
    seeds = dict.fromkeys(map(str, pairs), groups * size)
    for group in range(1, groups + 1):
        values = {name: each[: group * size] for name, each in zip(names, outcomes, strict=True)}
        _quiet(judge.partial_compare, values, verbose=False)
        for pair, decision in judge.decisions.items():
            if decision != "continue":
                seeds[pair] = min(seeds[pair], group * size)
        if judge.is_finished:
            break
    return tuple(judge.decisions[str(pair)] for pair in pairs), float(np.mean(list(seeds.values())))


def _quiet(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    import warnings

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **named)


@dataclass(frozen=True)
class Peer:
    """Defines a row of the table."""

    name: str
    # What it is made for, in a few words.
    made_for: str
    method: Method
    has_margin: bool
    # Simulated reports: fewer where the package takes long.
    reports: int


PEERS = (
    Peer(
        "Welch, Bonferroni; 10 seeds, as it is",
        "means of near-normal outcomes",
        welch,
        False,
        2000,
    ),
    Peer(
        "the same, its interval against the margins",
        "the same",
        partial(welch, margin=MARGIN),
        True,
        2000,
    ),
    Peer(
        "rliable: interval of the difference of interquartile means; 10 seeds, as it is",
        "few runs of many tasks taken together",
        rliable,
        False,
        100,
    ),
    Peer("the same, its interval against the margins", "the same", partial(rliable, margin=MARGIN), True, 100),
    Peer(
        "autorank: tests of its choice; 10 seeds, as it is",
        "many methods on many data sets, in blocks",
        autorank,
        False,
        100,
    ),
    Peer(
        "autorank, Bayesian: its region of equivalence is the margins; 10 seeds",
        "the same, with a margin",
        autorank_bayesian,
        True,
        100,
    ),
    Peer(
        "AdaStop: 8 groups of 5 seeds, as it is",
        "few seeds of dear agents, one by one",
        adastop,
        False,
        150,
    ),
    Peer("the same, the margin taken off the treatments", "the same", partial(adastop, margin=MARGIN), True, 150),
)


def make_report(shift: float, report: int, seeds: int = 40) -> np.ndarray:
    """Returns the outcomes of the control and of five treatments with one true shift: (1 + TREATMENTS, seeds)."""
    outcomes = np.random.default_rng([1, report]).normal(0, 1, (1 + TREATMENTS, seeds))
    outcomes[1:] += shift
    return outcomes


def describe(by_truth: dict[str, Sequence[Told]], has_margin: bool) -> dict[str, Any]:
    """Returns the figures of a method from what it told under each truth, as JSON values."""
    about_margin = (BEYOND, LESS, EQUAL)

    def share(truth: str, words: Sequence[str]) -> float:
        return float(np.mean([word in words for told in by_truth[truth] for word in told.words]))

    def reports(truth: str, words: Sequence[str]) -> float:
        return float(np.mean([any(word in words for word in told.words) for told in by_truth[truth]]))

    return {
        "reports": len(by_truth["no effect"]),
        "wrong_at_no_effect": reports("no effect", (DIFFERS, BEYOND)),
        "wrong_at_the_margin": reports("margin", about_margin) if has_margin else None,
        "equal_at_no_effect": share("no effect", (EQUAL,)) if has_margin else None,
        "found_at_twice": share("twice", (BEYOND,) if has_margin else (DIFFERS,)),
        "seeds": [float(np.mean([told.seeds for told in each])) for each in by_truth.values()],
    }


def measure_ours(design: Looks, reports: int) -> dict[str, Any]:
    """Returns the same figures of this project's looks."""
    runs = looks.Runs(SHAPES["normal"], one_control=True)
    by_truth = {}
    for place, (name, shift) in enumerate(TRUTHS.items()):
        truth = np.full(TREATMENTS, shift)
        found = looks.simulate(runs, truth, design, reports, np.random.default_rng([2, place]))
        words = np.full(found.verdict.shape, OPEN, dtype=object)
        # That an open test is better is told, and says nothing of the margin.
        words[found.said_better | found.said_worse] = DIFFERS
        words[(found.verdict == looks.SUPPORTED) | (found.verdict == looks.CONTRADICTED)] = BEYOND
        words[found.verdict == looks.NOTHING] = EQUAL
        by_truth[name] = [
            Told(tuple(row), float(seeds.mean())) for row, seeds in zip(words.tolist(), found.seeds, strict=True)
        ]
    return describe(by_truth, has_margin=True)


def measure(size: float, done: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]]) -> list[dict[str, Any]]:
    """Measures every method. size: share of the reports. done: (name, how to measure) -> figures, if not yet known."""
    rows = []
    for design in ("looks at 5, 10, 20, 40", "fixed, 10 seeds"):
        reports = max(2, round(size * OWN_REPORTS))
        figures = done(design, lambda design=design, reports=reports: measure_ours(looks.DESIGNS[design], reports))
        rows.append(
            {"name": f"this project: {design}", "made_for": "margins, and claims that share an error", **figures}
        )
    for place, peer in enumerate(PEERS):
        reports = max(2, round(size * peer.reports))
        figures = done(f"{place}: {peer.name}", partial(_measure_peer, peer, reports))
        rows.append({"name": peer.name, "made_for": peer.made_for, **figures})
    return rows


def _measure_peer(peer: Peer, reports: int) -> dict[str, Any]:
    return describe(
        {
            name: [peer.method(make_report(shift, report), report) for report in range(reports)]
            for name, shift in TRUTHS.items()
        },
        peer.has_margin,
    )


def peers(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measures every method, and keeps the whole figures on the page of the calibration.

    Raises UserError where a package is not installed.
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            raise UserError(f"{package} is not installed; tests/soak/peers.py says how to add it for this") from None
    import matplotlib as mpl

    mpl.use("agg")
    steps = Steps(work / "peers.jsonl", f"{code()}, {size:g}, {versions}")
    known = {step["name"]: step["figures"] for step in steps.done}

    def done(name: str, how: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if name not in known:
            known[name] = how()
            steps.add({"name": name, "figures": known[name]})
        say(f"{name}: {known[name]}")
        return known[name]

    rows = measure(size, done)
    if size >= 1:
        write_figures({"peers": {"versions": versions, "rows": rows}}, DOCS, say)
    return {f"{name}_version": number for name, number in versions.items()} | {"methods": len(rows)}
