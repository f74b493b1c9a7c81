"""Finds where a reading takes another share of a run than its words name.

A journal has a line an epoch, and evaluations are few: "the first 2 % of the updates" of a short run are its first
epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.questions.outcomes import EARLY, LAST, LATE, count_epochs, count_evaluations
from benchmarks.suites.plan import Plan, PlannedContrast

_SHARES = {"early": EARLY, "rise": EARLY, "change": LAST, "late": LATE}


@dataclass(frozen=True)
class ShareRead:
    """Holds what is read in place of a share of a run."""

    reading: str
    """early: the first updates; change: the last ones; late: the last evaluations."""
    read: int
    """Number of epochs, or of evaluations, that are read."""
    count: int
    """Number of them in the run."""
    labels: tuple[str, ...] = ()
    """Arms of which this is so; () where it is so of all."""

    @property
    def percent(self) -> str:
        return f"{100 * self.read / self.count:.2g}"


def list_shares_read(plan: Plan, contrasts: Iterable[PlannedContrast]) -> list[ShareRead]:
    """Returns, each once, what the contrasts read in place of a share; nothing where the words are exact."""
    found = {}
    for contrast in contrasts:
        labels: dict[ShareRead | None, list[str]] = {}
        for arm, _, until in contrast.sides:
            count = len(plan.arm(arm.name).evaluated_epochs(until, contrast.reads_curves))
            labels.setdefault(_find_share(contrast.contrast.outcome.reading, count), []).append(arm.label)
        for share, mine in labels.items():
            if share is not None:
                found[share if len(labels) == 1 else replace(share, labels=tuple(mine))] = None
    return list(found)


def _find_share(reading: str, count: int) -> ShareRead | None:
    """Returns what a reading takes of so many epochs, or evaluations; None for the share that its words name."""
    share = _SHARES.get(reading)
    if share is None or not count:
        return None
    read = count_evaluations(count) if reading == "late" else count_epochs(share, count)
    if abs(read / count - share) < 0.005:
        return None
    return ShareRead("early" if reading == "rise" else reading, read, count)
