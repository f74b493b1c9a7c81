"""Holds a generator, a discriminator and what trains them, and makes them for a recipe."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from benchmarks.algorithm.adam import Adam
from benchmarks.algorithm.precision import with_layers_in
from benchmarks.algorithm.random_streams import initialisation
from variants import DataSpec, UserError, Variant
from variants.base import DiscriminatorOutput
from variants.recipe import Recipe
from variants.remedies import Replay
from variants.stacked import StackedReplay


@dataclass(frozen=True)
class GAN:
    """Holds the two networks with their optimisers, and what else a recipe gives them."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    # Fakes of earlier updates, for recipes with replay.
    replay: Replay | StackedReplay | None = None
    # The generator with averaged weights, for recipes with averaging.
    ema_generator: nn.Module | None = None
    # Of the layers in training; "tf32" has no effect outside of `products_in`.
    precision: str = "float32"

    def generate(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Calls the generator as an update does; returns float32."""
        return self._in_training(self.generator)(noise, condition)

    def discriminate(self, examples: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        """Calls the discriminator as an update does; returns float32."""
        return self._in_training(self.discriminator)(examples, condition)

    def _in_training(self, network: nn.Module) -> Callable:
        return with_layers_in(network, torch.bfloat16) if self.precision == "bfloat16" else network

    @cached_property
    def ema_pairs(self) -> tuple[tuple[list[Tensor], list[Tensor]], ...]:
        """Parameters of the averaged generator and of the generator, then their buffers.

        Walking through the networks takes as long as a small layer, so it is done once.
        """
        both = (self.ema_generator, self.generator)
        return tuple(list(n.parameters()) for n in both), tuple(list(n.buffers()) for n in both)


def make_gan(generator: nn.Module, discriminator: nn.Module, recipe: Recipe, precision: str = "float32") -> GAN:
    """Gives two networks the optimisers, the replay and the average that a recipe asks for."""
    return GAN(
        generator,
        discriminator,
        make_optimizer(generator, recipe, recipe.generator_lr),
        make_optimizer(discriminator, recipe, recipe.discriminator_lr),
        replay=Replay(recipe.replay, recipe.replay_size) if recipe.replay else None,
        ema_generator=copy.deepcopy(generator).requires_grad_(False).eval() if recipe.averaging else None,
        precision=precision,
    )


def make_optimizer(network: nn.Module, recipe: Recipe, rate: float) -> Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=recipe.beta1)
    return Adam(network.parameters(), rate, (recipe.beta1, recipe.beta2))


@torch.no_grad()
def update_ema(gan: GAN, decay: float) -> None:
    """Moves the averaged generator towards the generator (Yazıcı et al. 2019); its buffers become the generator's."""
    (means, weights), (copies, buffers) = gan.ema_pairs
    torch._foreach_lerp_(means, weights, 1 - decay)
    if buffers:
        torch._foreach_copy_(copies, buffers)


def build_gan(
    variant: Variant, spec: DataSpec, recipe: Recipe, seed: int, device: torch.device, precision: str = "float32"
) -> GAN:
    """Builds the networks of a run as they are before its first update, with what a recipe gives them."""
    with initialisation(seed):
        networks = variant.build(spec, recipe)
    # Convolutions are faster where channels lie next to each other; linear layers do not notice.
    generator, discriminator = (n.to(device, memory_format=torch.channels_last) for n in networks)
    return make_gan(generator, discriminator, recipe, precision)


# Chosen, not tuned: in float32 with Adam's state a network of this size takes 6 GiB to train, far more than any here.
MOST_PARAMETERS = 4 * 10**8


class SkipInitialisation(TorchFunctionMode):
    """Skips the drawing of initial weights: on no device, a normal draw makes torch import its compiler (4 s)."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        if getattr(function, "__module__", "") == nn.init.__name__:
            return options["tensor"] if "tensor" in options else arguments[0]
        return function(*arguments, **options)


def refuse_giants(variant: Variant, spec: DataSpec, recipe: Recipe) -> None:
    """Raises UserError for networks that would fill the memory before anything else is noticed."""
    if (count := _parameters(variant.build, spec, recipe)) > MOST_PARAMETERS:
        raise UserError(f"networks of {count:,} parameters are too large; give smaller --generator-widths or the like")


# Cached, because every seed of a recipe has as many.
@lru_cache(maxsize=64)
def _parameters(
    build: Callable[[DataSpec, Recipe], tuple[nn.Module, nn.Module]], spec: DataSpec, recipe: Recipe
) -> int:
    """Counts the parameters of both networks, which are built on no device: nothing is allocated or drawn."""
    with torch.device("meta"), SkipInitialisation():
        networks = build(spec, recipe)
    return sum(parameter.numel() for network in networks for parameter in network.parameters())
