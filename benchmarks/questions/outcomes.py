"""How the journal of a run becomes the one number by which it is compared. Needs no torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from statistics import fmean
from typing import Any

from benchmarks.questions.base import Outcome

EARLY, LATE, LAST = 0.02, 0.25, 0.10
"""Shares of a run: its first steps, the evaluations that decide, and the updates at the end of a loss curve."""

LEARNED = 0.9
"""Of images, a final FID that is not below this share of the untrained generator's is a failure. Chosen, not tuned: ten
runs that never began to learn ended at .98 to 1.02 of it, so that 1 would toss a coin."""

Lines = Sequence[Mapping[str, Any]]


def read_outcome(
    outcome: Outcome, lines: Lines, *, updates: int, epochs: float = math.inf, threshold: float = math.nan
) -> float:
    """The number of one run, larger being better: the sign is turned where less is better.

    lines: of the journal. updates: generator updates in an epoch. epochs: how far the run is read, which need not be a
    whole number. threshold: of an outcome that has one. NaN where the journal lacks a figure that it needs.
    """
    values = [_reading(outcome, name, lines, updates, epochs, threshold) for name in outcome.figures]
    value = fmean(values) if values else math.nan
    return -value if outcome.better == "less" else value


def explain_failure(state: str, lines: Lines, epochs: float = math.inf, samples: int = 0) -> str:
    """Tells why a run that ended has failed, or "".

    state: FINISHED or FAILED; any other run has not ended, and neither failed nor succeeded. samples: in an evaluation,
    for the sentence. A run has failed by a loss or a sample that is not finite or, of images, by a final FID that is
    not below LEARNED of that of the untrained generator. Points of the plane have no such rule: a generator that makes
    one mode of eight is farther by FID than one that makes nothing, and its overlap tells how little it covers.
    """
    if state == "FAILED":
        return "its training failed"
    for line in lines:
        if line["epoch"] <= epochs and (broken := _broken_samples(line)):
            count = f"{broken:,.0f} " if math.isfinite(broken) else "some "
            verb = "is" if broken == 1 else "are"
            return f"{count}of its {f'{samples:,} ' if samples else ''}samples {verb} not finite"
    distances = _series("metrics/fid_normalized", lines, epochs, first=0)
    if len(distances) > 1 and not distances[-1][1] < LEARNED * distances[0][1]:
        return f"its FID is not below {100 * LEARNED:.0f} % of that of the untrained generator"
    return ""


def is_quality(outcome: Outcome) -> bool:
    """Tells whether an outcome judges the samples, so that a failed run is the worst by it."""
    return any(figure.startswith("metrics/") for figure in outcome.figures)


def is_measured(outcome: Outcome, journals: Iterable[Lines]) -> bool:
    """Tells whether any of these journals, the untrained generator's evaluation included, has all figures."""
    return any(
        all(_series(figure, lines, math.inf, first=0) for figure in outcome.figures) and bool(outcome.figures)
        for lines in journals
    )


def score_run(
    outcome: Outcome,
    state: str,
    lines: Lines,
    *,
    updates: int,
    epochs: float = math.inf,
    threshold: float = math.nan,
) -> float:
    """Gives the number by which a run that ended is compared, larger being better: as `read_outcome`, but for failures.

    Where the outcome judges samples, a failed run is −∞. Any other outcome is read as it was measured, until a loss or
    a sample was not finite.
    """
    if not is_quality(outcome):
        lines = list(takewhile(_is_finite, lines))
    elif explain_failure(state, lines, epochs):
        return -math.inf
    return read_outcome(outcome, lines, updates=updates, epochs=epochs, threshold=threshold)


def list_alternatives(outcome: Outcome) -> dict[str, Outcome]:
    """By what else the same might have been decided, for fragility."""
    others = {}
    if outcome.reading == "late":
        others["the last checkpoint"] = replace(outcome, reading="final")
    if "metrics/fid_normalized" in outcome.figures:
        for which in (0, 1, 2):
            others[f"classifier {which} alone"] = _with_figure(outcome, f"metrics/fid_normalized_extractor_{which}")
        if outcome.figures == ("metrics/fid_normalized",) and outcome.reading == "late":
            others["pixels, without a classifier"] = _with_figure(outcome, "metrics/fid_pixels")
    return others


def _with_figure(outcome: Outcome, figure: str) -> Outcome:
    return replace(
        outcome, figures=tuple(figure if name == "metrics/fid_normalized" else name for name in outcome.figures)
    )


def count_epochs(share: float, epochs: int) -> int:
    """Tells how many epochs stand for a share of a run: journals have a line an epoch, and none for less."""
    return max(1, round(share * epochs))


def count_evaluations(count: int) -> int:
    """Tells how many of so many evaluations stand for the last quarter."""
    return max(1, int(count * LATE))


def measure_drift(figure: str, lines: Lines) -> float:
    """How much a figure still moves: its mean over the last quarter of evaluations less that over the one before.

    NaN where there are too few.
    """
    values = [value for _, value in _series(figure, lines, math.inf)]
    count = int(len(values) * LATE)
    return fmean(values[-count:]) - fmean(values[-2 * count : -count]) if count else math.nan


def _reading(outcome: Outcome, name: str, lines: Lines, updates: int, epochs: float, threshold: float) -> float:
    series = [(epoch, rescale(outcome.scale, value)) for epoch, value in _series(name, lines, epochs)]
    if not series:
        return math.nan
    values, last = [value for _, value in series], series[-1][0]
    early, end = count_epochs(EARLY, last), count_epochs(LAST, last)
    match outcome.reading:
        case "final":
            return values[-1]
        case "late":
            return fmean(values[-count_evaluations(len(values)) :])
        case "early":
            return fmean(value for epoch, value in series if epoch <= early)
        case "rise":
            return _mean(value for epoch, value in series if epoch > early) - fmean(
                value for epoch, value in series if epoch <= early
            )
        case "change":
            return fmean(value for epoch, value in series if epoch > last - end) - values[0]
        case "reaching":
            return log_updates_to(_series(name, lines, epochs, first=0), updates, threshold)
    raise ValueError(f"unknown reading {outcome.reading!r}")


def log_updates_to(series: Sequence[tuple[int, float]], updates: int, threshold: float) -> float:
    """ln of the generator updates at which a falling figure first is at the threshold; infinite where it never is.

    series: (epoch, value). Between evaluations the logarithm of the value is taken to fall along a straight line.
    """
    for (before, above), (after, below) in pairwise(series):
        if below <= threshold:
            share = 0.0 if above <= threshold else math.log(above / threshold) / math.log(above / below)
            return math.log(updates * (before + share * (after - before)) or 1.0)
    return math.inf


def rescale(scale: str, value: float) -> float:
    """The figure on the scale on which it is averaged; of zero the logarithm is −∞."""
    if scale == "ln_error":
        value = 1.0 - value
    if not scale or math.isnan(value):
        return value
    return math.log(value) if value > 0 else -math.inf


def _series(name: str, lines: Lines, epochs: float, first: int = 1) -> list[tuple[int, float]]:
    """A figure of the journal, section/name, over the epochs that have it, from the first trained one on."""
    section, _, figure = name.partition("/")
    return [
        (line["epoch"], line[section][figure])
        for line in lines
        if first <= line["epoch"] <= epochs and figure in (line.get(section) or {})
    ]


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return fmean(values) if values else math.nan


def _broken_samples(line: Mapping[str, Any]) -> float:
    """How many samples of an evaluation are not finite: 0 where all are, NaN where it is not known how many.

    Older journals hold no number: each metric of such samples is NaN there.
    """
    metrics = line.get("metrics") or {}
    if "not_finite_samples" in metrics:
        return metrics["not_finite_samples"]
    return math.nan if metrics and all(map(math.isnan, metrics.values())) else 0.0


def _is_finite(line: Mapping[str, Any]) -> bool:
    return not _broken_samples(line) and all(map(math.isfinite, (line.get("curves") or {}).values()))
