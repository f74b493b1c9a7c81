"""A preset whose arms have rates of their own, and a rate and a time for every arm, whatever it is called."""

from dataclasses import replace
from typing import Any

from benchmarks.questions.presets import QUICK

TUNED_QUICK = replace(
    QUICK,
    budgets={role: replace(budget, rates=()) for role, budget in QUICK.budgets.items()},
    looks=None,
    primary=(),
    seeds=10,
    seeds_alone=12,
    first_seed=100,
)
"""Judged once, with ten seeds; each arm has a tuned rate."""


class Tuned(dict):
    """A rate for every arm, and a second for every update."""

    def __missing__(self, name: str) -> dict[str, float]:
        return {"winner": 1e-3, "quality": 2.0}

    def get(self, name: str, default: Any = None) -> float:
        return 0.001


TUNED = {"arms": Tuned(), "seconds_per_update": Tuned()}
