"""Times several things in turn, round after round, so that a slow phase of the machine affects all of them alike.

Needs no torch.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Spread:
    """Holds one figure over the rounds: its median, its least and its greatest value."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))

    def as_dict(self) -> dict[str, float]:
        return {"median": self.median, "least": self.least, "most": self.most}


def time_in_turn(timed: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Returns each function's results, one a round. Every other round goes backwards, so that none is always first."""
    measured: dict[str, list[Result]] = {name: [] for name in timed}
    for number in range(rounds):
        order = list(timed) if number % 2 == 0 else list(timed)[::-1]
        for name in order:
            measured[name].append(timed[name]())
    return measured


def divide_rounds(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Returns the quotients round by round, in which the load of a round cancels."""
    return Spread.of(a / b for a, b in zip(above, below, strict=True))
