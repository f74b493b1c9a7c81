"""Defines what is known of a metric besides its formula."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torchmetrics


class Unmeasurable(Exception):
    """Tells why a metric cannot be measured on these examples, in a sentence without a full stop."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """Holds a torchmetrics metric, and what it is updated with. Metrics that share a measurement are measured as one.

    A view is an attribute of a SampleSet, such as "images" or "features". If `update` has an argument `real`, the same
    attributes of the ReferenceSet are its real side.
    """

    # Returns the torchmetrics metric: its class, or any function. TwoSampleMetric says what it may look like.
    create: "Callable[..., torchmetrics.Metric]"
    # The views that `update` gets, in order.
    views: tuple[str, ...]
    # Attributes of the ReferenceSet that `create` gets, each by the name of the argument.
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Metric:
    """Describes a metric."""

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
    # Conditions of which all must hold: "images"; "large" ones, from 16 x 16; "extractor"; "inception"; "labels" of the
    # data; "condition": the generator is given labels; "captions"; "modes", which are "classes" or "centres";
    # "mixture": the modes are centres, or combinations of classes.
    needs: frozenset[str]
    paper: str
    # Measures it, and often others: `compute` returns the value, or a dict with this name or, for a family, names
    # <name>_<k>. Raises Unmeasurable where the examples are too few, or too much alike.
    measurement: "Measurement"
    # "each": cheap enough for every evaluation. "final": measured once, at the end.
    cost: Literal["each", "final"] = "each"
    # Whether the name stands for several metrics, `<name>_<k>`.
    family: bool = False
