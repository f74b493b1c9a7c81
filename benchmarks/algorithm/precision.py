"""benchmarks.algorithm.precision: TODO."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from variants.base import DiscriminatorOutput
from variants.recipe import Recipe, UserError

if TYPE_CHECKING:
    from benchmarks.algorithm.gan import GAN

Update = Callable[..., dict[str, Tensor]]


def reduced(network: nn.Module, dtype: torch.dtype) -> Callable[..., Tensor | DiscriminatorOutput]:
    """The network with its layers in a smaller type; its weights, and what it returns, stay float32."""

    def called(inputs: Tensor, condition: Tensor | None) -> Tensor | DiscriminatorOutput:
        with torch.autocast(inputs.device.type, dtype):
            result = network(inputs, condition)
        if isinstance(result, Tensor):
            return result.float()
        return DiscriminatorOutput(*(part if part is None else part.float() for part in result))

    return called


# Where a GPU may round float32 to the ten bits of TF32 before it multiplies.
ROUNDING = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def in_precision(update: Update) -> Update:
    """An update whose products and convolutions on a GPU are of TF32 if the players' precision is that."""

    @wraps(update)
    def rounded(gan: "GAN", *rest: Any) -> dict[str, Tensor]:
        if gan.precision != "tf32":
            return update(gan, *rest)
        before = [place.fp32_precision for place in ROUNDING]
        try:
            for place in ROUNDING:
                place.fp32_precision = "tf32"
            return update(gan, *rest)
        finally:
            for place, precision in zip(ROUNDING, before, strict=True):
                place.fp32_precision = precision

    return rounded


def refuse_reduced(recipe: Recipe, precision: str) -> None:
    """Raises UserError for what needs more digits than a reduced precision has: gradients of gradients."""
    for name in ("gradient_penalty", "r1", "r2", "unrolled_steps"):
        if precision != "float32" and getattr(recipe, name):
            raise UserError(
                f"--{name.replace('_', '-')} takes the gradient of a gradient, of which {precision} leaves too few "
                "digits; take --precision float32"
            )
