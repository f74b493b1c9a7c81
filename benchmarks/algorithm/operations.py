"""Counts the floating-point operations of networks and of updates, by torch's own counter."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from variants.base import DataSpec
from variants.recipe import Recipe


def count_operations(step: Callable[[], object]) -> int:
    """Counts floating-point operations in the products and convolutions of a step, backward included.

    A multiplication and an addition are two.
    """
    # Imported here since it takes a third of a second.
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def make_inputs(
    generator: nn.Module, discriminator: nn.Module, spec: DataSpec, recipe: Recipe
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns zeros to run networks on: noise, examples and their condition, of two examples or two packs."""
    device = next(generator.parameters()).device
    batch = 2 * math.prod(getattr(module, "pack", 1) for module in discriminator.modules())
    condition = None
    if recipe.conditioning != "none":
        words = (3,) if recipe.conditioning == "text" else ()
        condition = torch.zeros(batch, *words, dtype=torch.int64, device=device)
    noise = torch.zeros(batch, recipe.noise_size, device=device)
    return noise, torch.zeros(batch, *spec.shape, device=device), condition


@torch.no_grad()
def count_forward(generator: nn.Module, discriminator: nn.Module, spec: DataSpec, recipe: Recipe) -> Mapping[str, int]:
    """Counts what one example costs each network, forward: by the names generator and discriminator.

    Runs both in evaluation mode, which changes neither them nor any random state.
    """
    noise, examples, condition = make_inputs(generator, discriminator, spec, recipe)
    counts = {}
    for name, network, given in (("generator", generator, noise), ("discriminator", discriminator, examples)):
        training = network.training
        network.eval()
        try:
            counts[name] = count_operations(lambda network=network, given=given: network(given, condition)) // len(
                given
            )
        finally:
            network.train(training)
    return counts
