"""Several things timed in turn, round after round, so that what slows the machine for a while slows all of them alike.

Needs no torch.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """One figure over the rounds: its median, and the least and the most that it was."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))

    def as_dict(self) -> dict[str, float]:
        return {"median": self.median, "least": self.least, "most": self.most}


def in_turn(timed: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each function returns in each round. Every other round goes backwards, so that none is always the first."""
    measured: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds):
        order = list(timed) if number % 2 == 0 else list(timed)[::-1]
        for name in order:
            measured[name].append(timed[name]())
    return measured


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The quotient round by round: what slowed both in a round cancels."""
    return Spread.of(a / b for a, b in zip(above, below, strict=True))
