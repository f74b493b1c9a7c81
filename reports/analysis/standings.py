"""Ranks all arms on the same data: means with intervals, the arm that leads beyond doubt, and ranks.

Standings describe, beside the verdicts; they decide no claim.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import REDUCIBLE
from benchmarks.evaluation.catalogue import METRICS
from benchmarks.questions import Outcome, outcomes
from benchmarks.questions.base import FID_MARGIN, OVERLAP_MARGIN
from benchmarks.statistics.looks import CONFIDENCE
from benchmarks.statistics.ranks import rank_sum_tails
from reports.analysis.evidence import ArmRuns, Evidence, oriented_number, why_incomparable
from reports.analysis.names import spell_field
from reports.analysis.summaries import Summary, mean_with_interval, summarize
from reports.reading.runs import RunRecord

RESAMPLES = 2000
"""Number of resamples of the seeds, for the uncertainty of ranks. Chosen, not tuned."""
_SEED = 0

_TABLE_METRICS = (
    "fid_normalized", "overlap", "caption_agreement_held_out", "checkerboard", "coverage", "gan_train", "accuracy",
    "modes_captured", "high_quality",
)  # fmt: skip
"""Metrics of the tables of all arms: the first ones that were measured."""
_COLUMNS = 4


@dataclass(frozen=True)
class StandingRow:
    """Holds an arm's row of a table."""

    arm: ArmRuns
    means: Mapping[str, Summary]
    """By metric, the mean with half of its 95 % interval."""
    best: frozenset[str]
    """Metrics in which the arm leads beyond doubt."""


@dataclass(frozen=True)
class Rank:
    """Holds the rank of an arm."""

    arm: ArmRuns
    typical: float
    """Median of the seeds, a failed run being worst."""
    low: int
    """With `high`, the range of 95 % of the ranks over resamples of the seeds."""
    high: int
    first: float
    """Share of resamples in which the arm is first."""


@dataclass(frozen=True)
class Standing:
    """Holds the standings of the arms of one role of the data."""

    role: str
    dataset: str
    metric: str
    """Metric of the ranks."""
    columns: tuple[str, ...]
    """Metrics of the table."""
    rows: tuple[StandingRow, ...]
    ranks: tuple[Rank, ...]
    reference: tuple[tuple[str, Mapping[str, Summary]], ...]
    """From `metrics_of_real_data`."""
    refused: str
    """Reason why the arms are not compared; "" if they are."""


def compute_standings(evidence: Evidence) -> tuple[Standing, ...]:
    """Returns the standings of each role of the data, in the plan's order, with arms without ended runs in place."""
    roles: dict[str, list[ArmRuns]] = {}
    for arm in evidence.arms:
        roles.setdefault(arm.planned.arm.dataset_role, []).append(arm)
    return tuple(_standing(evidence, role, arms) for role, arms in roles.items())


def reference_data(dataset: DatasetConfig) -> DatasetConfig:
    """Returns the data that samples are compared with, whatever share of it the arm is trained on."""
    defaults = {f.name: f.default for f in fields(dataset)}
    return replace(dataset, **{name: defaults[name] for name in REDUCIBLE})


def late_mean(run: RunRecord, metric: str) -> float:
    """Returns the mean of a metric over the last quarter of the evaluations that have it, geometric for FID."""
    return outcomes.read_outcome(_late(metric, "more"), run.lines, updates=run.updates)


def less_is_better(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].direction == "min"


def late_means(arm: ArmRuns, metrics: Sequence[str]) -> dict[str, Summary]:
    """Returns, by metric, the mean over the runs that did not fail; within a run FID is averaged as ln FID."""
    found = {}
    for name in metrics:
        values = [late_mean(run, name) for run in arm.not_failed]
        # A metric that no run has does not apply; one that some have is missing in the others.
        measured = any(not math.isnan(value) for value in values)
        found[name] = mean_with_interval(map(_unscaled(name), values)) if measured else Summary(math.nan, math.nan, 0)
    return found


def drift_in_margins(arm: ArmRuns, metric: str) -> float:
    """Returns the movement of a metric in the last half of training in half margins: the median over runs.

    Above 1 the curve is not flat. NaN where there is no margin for the metric, or too few evaluations.
    """
    margin = {"fid_normalized": FID_MARGIN, "overlap": OVERLAP_MARGIN}.get(metric)
    if margin is None:
        return math.nan
    scale = "ln" if metric == "fid_normalized" else ""
    moves = []
    for run in arm.not_failed:
        lines = [
            {"epoch": line["epoch"], "metrics": {metric: outcomes.rescale(scale, line["metrics"][metric])}}
            for line in run.lines
            if metric in (line.get("metrics") or {})
        ]
        moves.append(outcomes.measure_drift(f"metrics/{metric}", lines))
    finite = [move for move in moves if math.isfinite(move)]
    return abs(float(np.median(finite))) / (margin / 2) if finite else math.nan


def rank_arms(arms: Sequence[ArmRuns], metric: str) -> tuple[Rank, ...]:
    """Returns the arms by the median of their seeds, the best first, with their ranks over resamples of the seeds.

    The same runs give the same resamples.
    """
    outcome = _late(metric, "less" if less_is_better(metric) else "more")
    groups = [(arm, np.array(values)) for arm in arms if (values := _numbers(arm, outcome))]
    if len(groups) < 2:
        return ()
    random = np.random.default_rng(_SEED)
    medians = np.stack(
        [np.median(values[random.integers(0, len(values), (RESAMPLES, len(values)))], axis=1) for _, values in groups],
        axis=1,
    )
    ranks = 1 + (medians[:, :, None] < medians[:, None, :]).sum(axis=2)
    sign = -1 if less_is_better(metric) else 1
    found = []
    for place, (arm, values) in enumerate(groups):
        low, high = np.quantile(ranks[:, place], [0.025, 0.975], method="inverted_cdf")
        first = float((ranks[:, place] == 1).mean())
        # Of failed runs the median is −∞ on either scale.
        typical = float(np.median(values))
        shown = math.inf if typical == -math.inf and sign < 0 else _unscaled(metric)(sign * typical)
        found.append((-typical, place, Rank(arm, shown, int(low), int(high), first)))
    return tuple(rank for _, _, rank in sorted(found, key=lambda each: each[:2]))


def _standing(evidence: Evidence, role: str, arms: Sequence[ArmRuns]) -> Standing:
    metric = evidence.plan.preset.budgets[role].quality
    measured = {name for arm in arms for run in arm.not_failed for name in run.metrics}
    alike = len({reference_data(arm.planned.dataset) for arm in arms}) == 1
    refused = why_incomparable(arms) if alike else "what they are to make is not the same"
    columns = tuple(name for name in _TABLE_METRICS if name in measured)[:_COLUMNS]
    reference = metrics_of_real_data(arms, columns) if alike else ()
    best: dict[str, set[str]] = {}
    if not refused:
        for name in columns:
            if leader := _leader(arms, name):
                best.setdefault(leader, set()).add(name)
    rows = tuple(StandingRow(arm, late_means(arm, columns), frozenset(best.get(arm.name, ()))) for arm in arms)
    ranks = () if refused or metric not in measured else rank_arms(arms, metric)
    return Standing(role, arms[0].planned.dataset.name, metric, columns, rows, ranks, reference, refused)


def metrics_of_real_data(
    arms: Sequence[ArmRuns], metrics: Sequence[str]
) -> tuple[tuple[str, Mapping[str, Summary]], ...]:
    """Returns the metrics of real data by the options of the data, "" for none.

    300 images, or seven of ten classes, have values of their own. Data with the same values as other data, or without
    any, are left out.
    """
    by_data: dict[str, list[ArmRuns]] = {}
    for arm in arms:
        by_data.setdefault(", ".join(spell_field(*each) for each in arm.planned.arm.options.items()), []).append(arm)
    found: dict[str, Mapping[str, Summary]] = {}
    for options in sorted(by_data, key=bool):
        runs = [run for arm in by_data[options] for run in arm.ended]
        values = {
            name: summarize(measured)
            for name in metrics
            if (measured := [run.reference[name] for run in runs if name in run.reference])
        }
        if values and not any(_repeats(values, other) for other in found.values()):
            found[options] = values
    return tuple(found.items())


def _repeats(values: Mapping[str, Summary], other: Mapping[str, Summary]) -> bool:
    """Returns whether all means equal the others, up to rounding."""
    return values.keys() <= other.keys() and all(
        math.isclose(value.mean, other[name].mean, rel_tol=1e-6) for name, value in values.items()
    )


def _leader(arms: Sequence[ArmRuns], metric: str) -> str:
    """Returns the arm that is beyond its interval from every other arm, at 95 % for all together; "" without one."""
    outcome = _late(metric, "less" if less_is_better(metric) else "more")
    groups = {arm.name: values for arm in arms if (values := _numbers(arm, outcome))}
    if len(groups) < 2:
        return ""
    leader = max(sorted(groups), key=lambda name: float(np.median(groups[name])))
    others = [values for name, values in groups.items() if name != leader]
    alpha = (1 - CONFIDENCE) / 2 / len(others)
    leads = all(rank_sum_tails(np.array(groups[leader]), np.array(values)).greater <= alpha for values in others)
    return leader if leads else ""


def _numbers(arm: ArmRuns, outcome: Outcome) -> list[float]:
    """Returns a number of each run that ended; none, even of failed runs, where the arm does not have the metric."""
    if not outcomes.is_measured(outcome, [run.lines for run in arm.ended]):
        return []
    return [value for run in arm.ended if not math.isnan(value := oriented_number(run, outcome))]


def _late(metric: str, better: str) -> Outcome:
    return Outcome(metric, (f"metrics/{metric}",), better, scale="ln" if metric.startswith("fid") else "")


def _unscaled(metric: str) -> Callable[[float], float]:
    return math.exp if metric.startswith("fid") else float
