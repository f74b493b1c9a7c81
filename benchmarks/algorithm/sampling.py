"""Draws samples from a generator, in training or after it."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from variants import Recipe
from variants.noise import NOISES

Generate = Callable[[Tensor | None, int], Tensor]
"""Type of a function (condition, count) -> samples."""


def sampler(generator: nn.Module, recipe: Recipe, noise: Generator) -> Generate:
    """Returns a function that samples a generator in evaluation mode, with noise from one stream."""

    @torch.no_grad()
    def generate(condition: Tensor | None, count: int) -> Tensor:
        training = generator.training
        generator.eval()
        try:
            condition = None if condition is None else condition.to(noise.device)
            return generator(NOISES[recipe.noise]((count, recipe.noise_size), noise), condition)
        finally:
            generator.train(training)

    return generate
