"""What one update sees, and what was judged of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Generator, Tensor

from variants.base import Judgement

Judge = Callable[[Tensor, Tensor | None], Judgement]
"""A discriminator as an update calls it: (examples, condition) -> Judgement."""


class Batch(NamedTuple):
    """What one update starts from.

    examples: real ones, (batch, *shape), with their condition. noise: (batch, noise_size), with the condition of the
    fakes that are made of it. stream: where an update draws from, if it has to.
    """

    examples: Tensor
    condition: Tensor | None
    noise: Tensor
    fake_condition: Tensor | None
    stream: Generator


@dataclass(frozen=True, eq=False)
class Exchange:
    """The two sides of an update: real examples and fakes, their conditions, and what was judged of each."""

    discriminator: Judge
    batch: Batch
    fakes: Tensor
    fake_condition: Tensor | None
    real: Judgement
    fake: Judgement
