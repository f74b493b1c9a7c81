"""Turns the journal of a run into the one number by which it is compared. Needs no torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from statistics import fmean
from typing import Any

from benchmarks.questions.base import Outcome

EARLY, LATE, LAST = 0.02, 0.25, 0.10
"""Shares of a run: its first updates, the evaluations that decide, and the last updates of a loss curve."""

LEARNED = 0.9
"""Of images, a final FID that is not below this share of the untrained generator's is a failure. Chosen, not tuned: ten
runs that never began to learn ended at .98 to 1.02 of it, so that 1 would toss a coin."""

FAILED = "run/failed"
"""Figure of an outcome that counts failures: 1 for a failed run, else 0. It stands in no journal."""

Lines = Sequence[Mapping[str, Any]]


def read_outcome(
    outcome: Outcome, lines: Lines, *, updates: int, epochs: float = math.inf, threshold: float = math.nan
) -> float:
    """Returns the number of one run, larger being better: the sign is turned where less is better.

    Args:
        lines: of the journal.
        updates: generator updates in an epoch.
        epochs: up to which the run is read; need not be a whole number.
        threshold: of an outcome that has one.

    NaN where the journal lacks a figure.
    """
    values = [_reading(outcome, name, lines, updates, epochs, threshold) for name in outcome.figures]
    value = fmean(values) if values else math.nan
    return -value if outcome.better == "less" else value


def explain_failure(state: str, lines: Lines, epochs: float = math.inf, samples: int = 0) -> str:
    """Returns why a run that ended has failed, or "".

    A run has failed by a loss or a sample that is not finite or, on images, by a final FID that is not below LEARNED
    times that of the untrained generator. Points of the plane have no such rule: a generator that makes one mode of
    eight is farther by FID than one that makes nothing, and its overlap shows how little it covers.

    Args:
        state: FINISHED or FAILED; a run in any other state has not ended, and has neither failed nor succeeded.
        epochs: up to which it is read.
        samples: in an evaluation, for the sentence.
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
    """Tells whether an outcome measures samples, so that a failed run is the worst by it."""
    return any(figure.startswith("metrics/") for figure in outcome.figures)


def is_measured(outcome: Outcome, journals: Iterable[Lines]) -> bool:
    """Tells whether any of these journals has all figures, counting the evaluation of the untrained generator."""
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
    """Returns the number by which a run that ended is compared, larger being better: as `read_outcome`, with failures.

    By an outcome that measures samples, a failed run is −∞. Any other outcome is read as measured, until a loss or a
    sample was not finite.
    """
    if outcome.figures == (FAILED,):
        return -1.0 if explain_failure(state, lines, epochs) else 0.0
    if not is_quality(outcome):
        lines = list(takewhile(_is_finite, lines))
    elif explain_failure(state, lines, epochs):
        return -math.inf
    return read_outcome(outcome, lines, updates=updates, epochs=epochs, threshold=threshold)


def list_alternatives(outcome: Outcome) -> dict[str, Outcome]:
    """Returns, by name, other outcomes that could have decided the same, to test fragility."""
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
    """Counts the epochs of a share of a run, at least one: journals have one line an epoch."""
    return max(1, round(share * epochs))


def count_evaluations(count: int) -> int:
    """Counts the evaluations in the last quarter, at least one."""
    return max(1, int(count * LATE))


def measure_drift(figure: str, lines: Lines) -> float:
    """Returns the mean of a figure over the last quarter of evaluations minus that over the quarter before.

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
    """Returns ln of the generator updates at which a falling figure first is at the threshold; infinite if it never is.

    series: (epoch, value). Between evaluations ln of the value is interpolated linearly.
    """
    for (before, above), (after, below) in pairwise(series):
        if below <= threshold:
            share = 0.0 if above <= threshold else math.log(above / threshold) / math.log(above / below)
            return math.log(updates * (before + share * (after - before)) or 1.0)
    return math.inf


def rescale(scale: str, value: float) -> float:
    """Puts a figure on the scale on which it is averaged; ln 0 is −∞."""
    if scale == "ln_error":
        value = 1.0 - value
    if not scale or math.isnan(value):
        return value
    return math.log(value) if value > 0 else -math.inf


def _series(name: str, lines: Lines, epochs: float, first: int = 1) -> list[tuple[int, float]]:
    """Returns (epoch, value) of a figure, section/name, for the epochs from `first` to `epochs` that have it."""
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
    """Returns the number of samples of an evaluation that are not finite; NaN where it is unknown.

    Older journals do not count them: all metrics of such samples are NaN there.
    """
    metrics = line.get("metrics") or {}
    if "not_finite_samples" in metrics:
        return metrics["not_finite_samples"]
    return math.nan if metrics and all(map(math.isnan, metrics.values())) else 0.0


def _is_finite(line: Mapping[str, Any]) -> bool:
    return not _broken_samples(line) and all(map(math.isfinite, (line.get("curves") or {}).values()))
