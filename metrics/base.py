"""What is known of a metric besides its formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


class Unmeasurable(Exception):
    """Says why a metric cannot be measured on these examples."""

    @property
    def reason(self) -> str:
        """The sentence, without a full stop."""
        return str(self)


@dataclass(frozen=True)
class Metric:
    """A metric's record.

    name: as in journals and tables. summary: one line on what it tells. direction: whether smaller or larger is
    better. range: least and largest possible value. perfect: what a perfect generator tends to. needs: what it applies
    to: "images"; "large" ones, from 16 x 16; "extractor"; "labels" of the data; "condition": the generator is given
    labels; "modes": "classes" or "centres"; "mixture": the modes are centres, or combinations of classes.
    cost: "each" where it is cheap enough for every evaluation, "final" where it is measured once, at the end.
    measure: from one comparison of samples with real data to the value. It raises Unmeasurable where these examples are
    too few, or too much alike, to have one.
    family: the name stands for several, `<name>_<k>`, and measure gives one value for each k.
    """

    name: str
    summary: str
    direction: Literal["min", "max"]
    range: tuple[float, float]
    perfect: float
    needs: frozenset[str]
    paper: str
    measure: Callable[[Any], float | Mapping[int, float]]
    cost: Literal["each", "final"] = "each"
    family: bool = False
