"""benchmarks.algorithm.gan: TODO."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from benchmarks.algorithm.adam import Adam
from benchmarks.algorithm.precision import reduced
from benchmarks.algorithm.random_streams import initialisation
from variants import DataSpec, UserError, Variant
from variants.recipe import Recipe
from variants.remedies import Replay
from variants.stacked import StackedReplay


@dataclass(frozen=True)
class GAN:
    """The two networks and their optimisers; where the recipe has them, old fakes and an averaged generator.

    precision: in which the layers calculate while they are trained; tf32 is for `in_precision` to see to.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    replay: Replay | StackedReplay | None = None
    ema_generator: nn.Module | None = None
    precision: str = "float32"

    @cached_property
    def ema_pairs(self) -> tuple[tuple[list[Tensor], list[Tensor]], ...]:
        """Parameters of the averaged generator and of the generator, and buffers likewise: a walk takes as long as a
        small layer, so it is made once."""
        both = (self.ema_generator, self.generator)
        return tuple(list(n.parameters()) for n in both), tuple(list(n.buffers()) for n in both)

    def calculating(self, network: nn.Module) -> nn.Module | Callable:
        """One of the networks as an update calls it. What it returns is float32, so that the losses are."""
        return reduced(network, torch.bfloat16) if self.precision == "bfloat16" else network


def make_gan(generator: nn.Module, discriminator: nn.Module, recipe: Recipe, precision: str = "float32") -> GAN:
    """The networks with what a recipe gives them."""
    return GAN(
        generator,
        discriminator,
        optimizer(generator, recipe, recipe.generator_lr),
        optimizer(discriminator, recipe, recipe.discriminator_lr),
        replay=Replay(recipe.replay, recipe.replay_size) if recipe.replay else None,
        ema_generator=copy.deepcopy(generator).requires_grad_(False).eval() if recipe.averaging else None,
        precision=precision,
    )


def optimizer(network: nn.Module, recipe: Recipe, rate: float) -> Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=recipe.beta1)
    return Adam(network.parameters(), rate, (recipe.beta1, recipe.beta2))


@torch.no_grad()
def update_ema(gan: GAN, decay: float) -> None:
    """An exponential moving average of the weights (Yazıcı et al. 2019); buffers are those of the generator."""
    (means, weights), (copies, buffers) = gan.ema_pairs
    torch._foreach_lerp_(means, weights, 1 - decay)
    if buffers:
        torch._foreach_copy_(copies, buffers)


def fresh_gan(
    variant: Variant, spec: DataSpec, recipe: Recipe, seed: int, device: torch.device, precision: str = "float32"
) -> GAN:
    """The networks of a run as they are before its first update, with what a recipe gives them."""
    with initialisation(seed):
        networks = variant.build(spec, recipe)
    # Convolutions are faster where channels lie next to each other; linear layers do not notice.
    generator, discriminator = (n.to(device, memory_format=torch.channels_last) for n in networks)
    return make_gan(generator, discriminator, recipe, precision)


Build = Callable[[DataSpec, Recipe], tuple[nn.Module, nn.Module]]

# Chosen, not tuned: in float32 with Adam's state a network of this size takes 6 GiB to train, far more than any here.
MOST_PARAMETERS = 4 * 10**8


class Undrawn(TorchFunctionMode):
    """Within it, weights stay as they are made: on no device, a normal draw makes torch import its compiler (4 s)."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        if getattr(function, "__module__", "") == nn.init.__name__:
            return options["tensor"] if "tensor" in options else arguments[0]
        return function(*arguments, **options)


def refuse_giants(variant: Variant, spec: DataSpec, recipe: Recipe) -> None:
    """Raises UserError for networks that would fill the memory before anything else is noticed."""
    if (count := _parameters(variant.build, spec, recipe)) > MOST_PARAMETERS:
        raise UserError(f"networks of {count:,} parameters are too large; give smaller --generator-widths or the like")


# Kept: every seed of a recipe has as many, and a config that is made and then trained is checked twice.
@lru_cache(maxsize=64)
def _parameters(build: Build, spec: DataSpec, recipe: Recipe) -> int:
    """How many parameters both networks have. They are built on no device: nothing is allocated, nothing drawn."""
    with torch.device("meta"), Undrawn():
        networks = build(spec, recipe)
    return sum(parameter.numel() for network in networks for parameter in network.parameters())
