"""What one update sees, and what was judged of it.

Where several seeds are trained as one, every tensor has a leading axis of seeds, and there is a stream a seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from variants.base import DiscriminatorOutput

Discriminate = Callable[[Tensor, Tensor | None], DiscriminatorOutput]
"""A discriminator as an update calls it: (examples, condition) -> DiscriminatorOutput."""


class Batch(NamedTuple):
    """What one update starts from.

    examples: real ones, (batch, *shape), with their condition. noise: (batch, noise_size), with the condition of the
    fakes that are made of it. stream: where an update draws from, if it has to.
    """

    examples: Tensor
    condition: Tensor | None
    noise: Tensor
    fake_condition: Tensor | None
    stream: Generator | Sequence[Generator]


@dataclass(frozen=True, eq=False)
class LossInputs:
    """The two sides of an update: real examples and fakes, their conditions, and what was judged of each."""

    discriminator: Discriminate
    batch: Batch
    fakes: Tensor
    fake_condition: Tensor | None
    real: DiscriminatorOutput
    fake: DiscriminatorOutput


def drawn(draw: Callable[[Generator], Tensor], stream: Generator | Sequence[Generator]) -> Tensor:
    """What is drawn from a stream; of several streams, what is drawn from each, along a leading axis."""
    return draw(stream) if isinstance(stream, Generator) else torch.stack([draw(each) for each in stream])
