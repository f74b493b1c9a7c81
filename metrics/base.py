"""Defines what is known of a metric besides its formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


class Unmeasurable(Exception):
    """Tells why a metric cannot be measured on these examples, in a sentence without a full stop."""


@dataclass(frozen=True)
class Metric:
    """Describes a metric, and measures it."""

    # As in journals and tables.
    name: str
    # What it tells, in one line.
    summary: str
    # Whether smaller or larger values are better.
    direction: Literal["min", "max"]
    # The least and the largest possible value.
    range: tuple[float, float]
    # The value that a perfect generator tends to.
    perfect: float
    # Conditions of which all must hold: "images"; "large" ones, from 16 x 16; "extractor"; "labels" of the data;
    # "condition": the generator is given labels; "captions"; "modes", which are "classes" or "centres"; "mixture": the
    # modes are centres, or combinations of classes.
    needs: frozenset[str]
    paper: str
    # From a SampleSet to the value. Raises Unmeasurable where the examples are too few, or too much alike.
    measure: Callable[[Any], float | Mapping[int, float]]
    # "each": cheap enough for every evaluation. "final": measured once, at the end.
    cost: Literal["each", "final"] = "each"
    # Whether the name stands for several metrics, `<name>_<k>`, and `measure` returns a value for each k.
    family: bool = False
