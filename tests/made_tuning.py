"""A rate and a time for every arm, whatever it is called."""

from typing import Any


class Tuned(dict):
    """A rate for every arm, and a second for every update."""

    def __missing__(self, name: str) -> dict[str, float]:
        return {"winner": 1e-3, "quality": 2.0}

    def get(self, name: str, default: Any = None) -> float:
        return 0.001


TUNED = {"arms": Tuned(), "seconds_per_update": Tuned()}
