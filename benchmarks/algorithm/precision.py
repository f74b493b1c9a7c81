"""Calculates the layers of networks with fewer digits than float32 has: TF32 and bfloat16."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from variants.base import DiscriminatorOutput
from variants.recipe import Recipe, UserError

# Where a GPU may round float32 to the ten bits of TF32 before it multiplies.
ROUNDING = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def with_layers_in(network: nn.Module, dtype: torch.dtype) -> Callable[..., Tensor | DiscriminatorOutput]:
    """Returns the network as a function whose layers calculate in a smaller type.

    The weights and the results stay float32, so that the losses are.
    """

    def call(inputs: Tensor, condition: Tensor | None) -> Tensor | DiscriminatorOutput:
        with torch.autocast(inputs.device.type, dtype):
            result = network(inputs, condition)
        if isinstance(result, Tensor):
            return result.float()
        return DiscriminatorOutput(*(part if part is None else part.float() for part in result))

    return call


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Lets a GPU round products and convolutions to TF32 while it is entered with "tf32"; else changes nothing."""
    if precision != "tf32":
        yield
        return
    before = [place.fp32_precision for place in ROUNDING]
    try:
        for place in ROUNDING:
            place.fp32_precision = "tf32"
        yield
    finally:
        for place, kept in zip(ROUNDING, before, strict=True):
            place.fp32_precision = kept


def refuse_reduced(recipe: Recipe, precision: str) -> None:
    """Raises UserError for a recipe that needs gradients of gradients, for which a reduced precision is too coarse."""
    for name in ("gradient_penalty", "r1", "r2", "unrolled_steps"):
        if precision != "float32" and getattr(recipe, name):
            raise UserError(
                f"--{name.replace('_', '-')} takes the gradient of a gradient, of which {precision} leaves too few "
                "digits; take --precision float32"
            )
