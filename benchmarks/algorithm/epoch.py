"""Does the updates of an epoch: those of the discriminator and of the generator in turn."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from benchmarks.algorithm.batches import epoch_batches
from benchmarks.algorithm.gan import GAN
from benchmarks.algorithm.precision import products_in
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from benchmarks.datasets import Split
from variants import Recipe
from variants.batch import Batch
from variants.blocks import draw_from
from variants.objective import Objective
from variants.remedies import Noisy

Streams = Generator | Sequence[Generator]
Measured = dict[str, Tensor]
Update = Callable[[Batch], Measured]


class Updates:
    """Trains a GAN by a recipe, update by update; one seed, or several that are stacked."""

    def __init__(self, gan: GAN, objective: Objective, recipe: Recipe) -> None:
        self.gan, self.objective, self.recipe = gan, objective, recipe

    def epoch(self, layers: Streams, batches: Iterator[Batch], epoch: int, count: int) -> Iterator[Measured]:
        """Does `count` generator updates, each after its discriminator updates, and yields their measurements.

        The discriminator's measurements are means over its `critic_steps` updates. layers: streams that the networks
        draw from. epoch: counted from 1; learning rates and instance noise may fall to 0 over the run.
        """
        prepare_training(self.gan, layers)
        for update in range(count):
            anneal(self.gan, self.recipe, 1 - ((epoch - 1) * count + update) / (self.recipe.epochs * count))
            steps = [self.discriminator(next(batches)) for _ in range(self.recipe.critic_steps)]
            yield mean_of_updates(steps) | self.generator(next(batches))

    def discriminator(self, batch: Batch) -> Measured:
        """Does D1 in the precision of the GAN."""
        with products_in(self.gan.precision):
            return discriminator_update(self.gan, self.objective, self.recipe, batch)

    def generator(self, batch: Batch) -> Measured:
        """Does D2 in the precision of the GAN."""
        with products_in(self.gan.precision):
            return generator_update(self.gan, self.objective, self.recipe, batch)


def mean_of_updates(measured: Sequence[Measured]) -> Measured:
    """Averages the measurements of several updates, on the device, for each seed."""
    if len(measured) == 1:
        return measured[0]
    means = torch.stack([torch.stack(tuple(each.values())) for each in measured]).mean(0)
    return dict(zip(measured[0], means.unbind(), strict=True))


def train_updates(updates: Updates, data: Split, seed: int, epoch: int, count: int) -> Iterator[Measured]:
    """Does the updates of one epoch of one seed."""
    layers = stream(seed, "layers", epoch, data.data.device)
    return updates.epoch(layers, epoch_batches(updates.recipe, data, seed, epoch), epoch, count)


def prepare_training(gan: GAN, layers: Streams) -> None:
    """Puts both networks into training mode, and sets the streams that they draw from."""
    for network in (gan.generator, gan.discriminator):
        network.train()
        draw_from(network, layers)


def anneal(gan: GAN, recipe: Recipe, remaining: float) -> None:
    """Lets learning rates and instance noise fall to 0 over the run, where the recipe says so.

    remaining: share of the run that is left, from 1 to 0.
    """
    if recipe.lr_decay == "linear":
        gan.generator_optimizer.param_groups[0]["lr"] = recipe.generator_lr * remaining
        gan.discriminator_optimizer.param_groups[0]["lr"] = recipe.discriminator_lr * remaining
    if recipe.instance_noise:
        for module in gan.discriminator.modules():
            if isinstance(module, Noisy):
                module.deviation = recipe.instance_noise * remaining


def mean_values(measured: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Averages each measurement over updates. Training waits for the device only here."""
    return {name: torch.stack([each[name] for each in measured]).mean().item() for name in measured[0]}
