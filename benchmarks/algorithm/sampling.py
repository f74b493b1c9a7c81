"""Draws samples from a generator, in training or after it."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from variants import Recipe
from variants.noise import NOISES, DrawNoise

Generate = Callable[[Tensor | None, int], Tensor]
"""Type of a function (condition, count) -> samples."""


def sampler(generator: nn.Module, recipe: Recipe, noise: Generator, draw: DrawNoise | None = None) -> Generate:
    """Returns a function that samples a generator in evaluation mode, with noise from one stream.

    draw: draws the noise; by default as the recipe says.
    """
    draw = draw or NOISES[recipe.noise]

    @torch.no_grad()
    def generate(condition: Tensor | None, count: int) -> Tensor:
        training = generator.training
        generator.eval()
        try:
            condition = None if condition is None else condition.to(noise.device)
            return generator(draw((count, recipe.noise_size), noise), condition)
        finally:
            generator.train(training)

    return generate


def truncate(limit: float) -> DrawNoise:
    """Returns standard normal noise in which every value beyond ±limit is drawn again: the truncation trick.

    Fidelity rises and variety falls with a smaller limit (Brock, Donahue & Simonyan 2019, sec. 3.1). torch draws the
    values of a small limit from a uniform distribution first, so that it takes no longer.
    """

    def draw(shape: Sequence[int], stream: Generator) -> Tensor:
        drawn = torch.empty(*shape, device=stream.device)
        return nn.init.trunc_normal_(drawn, a=-limit, b=limit, generator=stream)

    return draw
