"""A plugin: a variant with networks of its own, and a noise.

    python -m benchmarks.run --plugin examples/my_variant.py --variant residual_gan --noise laplace --dataset digits

docs/plugins.md explains what else a plugin can add.
"""

import torch
from torch import Generator, Tensor, nn

from variants.base import DataSpec, DiscriminatorOutput, Variant
from variants.recipe import Recipe


class Residual(nn.Module):
    """Adds something learned to what comes in: (batch, width) -> (batch, width) (He et al. 2016)."""

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        self.learned = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(slope), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.learned(x)


class ResidualGenerator(nn.Module):
    """noise (batch, noise_size) -> (batch, *shape)."""

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.shape = spec.shape
        width, blocks = recipe.generator_widths[0], len(recipe.generator_widths)
        self.layers = nn.Sequential(
            nn.Linear(recipe.noise_size, width),
            *(Residual(width, recipe.negative_slope) for _ in range(blocks)),
            nn.Linear(width, spec.size),
            # Data without bounds, such as points of the plane, is not squeezed between -1 and 1.
            nn.Tanh() if spec.bounded else nn.Identity(),
        )

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(noise).unflatten(1, self.shape)


class ResidualDiscriminator(nn.Module):
    """examples (batch, *shape) -> DiscriminatorOutput of (batch,) logits."""

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        width, blocks = recipe.discriminator_widths[0], len(recipe.discriminator_widths)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(spec.size, width),
            *(Residual(width, recipe.negative_slope) for _ in range(blocks)),
            nn.Linear(width, 1),
        )

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(self.layers(examples).squeeze(1))


def build(spec: DataSpec, recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    return ResidualGenerator(spec, recipe), ResidualDiscriminator(spec, recipe)


def laplace(shape: tuple[int, ...], stream: Generator) -> Tensor:
    """Laplace's distribution of variance 1: heavier tails than the Gaussian"""
    # The difference of two exponential variables of variance 1 each.
    first, second = torch.empty(2, *shape, device=stream.device).exponential_(generator=stream)
    return (first - second) / 2**0.5


VARIANT = Variant(
    name="residual_gan",
    summary="linear layers with shortcuts round them, unconditional",
    claims=(),
    build=build,
    recipes={"default": Recipe(generator_widths=(256, 256), discriminator_widths=(256, 256), epochs=20)},
    reads=frozenset({"generator_widths", "discriminator_widths", "negative_slope"}),
)

NOISES = {"laplace": laplace}
