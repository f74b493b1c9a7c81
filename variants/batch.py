"""Defines what one update reads: a batch, and the inputs of its losses.

For stacked seeds every tensor has a leading axis of seeds, and there is one stream a seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from variants.base import DiscriminatorOutput

Discriminate = Callable[[Tensor, Tensor | None], DiscriminatorOutput]
"""Type of a discriminator as an update calls it: (examples, condition) -> DiscriminatorOutput."""


class Batch(NamedTuple):
    """Holds what one update starts from."""

    # Real examples, (batch, *shape).
    examples: Tensor
    # Labels or tokens of the real examples.
    condition: Tensor | None
    # Input of the generator, (batch, noise_size).
    noise: Tensor
    # Labels or tokens that the fakes are made for.
    fake_condition: Tensor | None
    # For random draws within the update.
    stream: Generator | Sequence[Generator]


@dataclass(frozen=True, eq=False)
class LossInputs:
    """Holds what losses and penalties read: real examples and fakes, and what the discriminator says of each."""

    discriminator: Discriminate
    batch: Batch
    fakes: Tensor
    fake_condition: Tensor | None
    real: DiscriminatorOutput
    fake: DiscriminatorOutput


def draw_each(draw: Callable[[Generator], Tensor], stream: Generator | Sequence[Generator]) -> Tensor:
    """Draws from a stream, or from each of several along a leading axis."""
    return draw(stream) if isinstance(stream, Generator) else torch.stack([draw(each) for each in stream])
