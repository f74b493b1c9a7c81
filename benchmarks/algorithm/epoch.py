"""The updates of an epoch, each network's in its turn: as they stand in `steps`, or recorded and replayed.

On a GPU a small network waits for Python, which launches each of its kernels anew in every update. A CUDA graph is all
kernels of an update, recorded once, and launched by one call. What is calculated is the same.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from benchmarks.algorithm.batches import epoch_batches
from benchmarks.algorithm.gan import GAN
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
    """Both updates of two players by a recipe, of one seed or of several."""

    def __init__(self, gan: GAN, objective: Objective, recipe: Recipe) -> None:
        self.gan, self.objective, self.recipe = gan, objective, recipe

    def epoch(self, layers: Streams, batches: Iterator[Batch], epoch: int, count: int) -> Iterator[Measured]:
        """Does `count` generator updates, each after its discriminator updates, and yields what they measured.

        The figures of the discriminator are means over its `critic_steps` updates. layers: what the networks draw from.
        epoch: from 1; some things fall to 0 over the run.
        """
        ready(self.gan, layers)
        for update in range(count):
            anneal(self.gan, self.recipe, 1 - ((epoch - 1) * count + update) / (self.recipe.epochs * count))
            steps = [self.discriminator(next(batches)) for _ in range(self.recipe.critic_steps)]
            yield mean_of_updates(steps) | self.generator(next(batches))

    def discriminator(self, batch: Batch) -> Measured:
        return discriminator_update(self.gan, self.objective, self.recipe, batch)

    def generator(self, batch: Batch) -> Measured:
        return generator_update(self.gan, self.objective, self.recipe, batch)


def mean_of_updates(measured: Sequence[Measured]) -> Measured:
    """Averages what several updates measured, on the device; of several seeds, each by itself."""
    if len(measured) == 1:
        return measured[0]
    means = torch.stack([torch.stack(tuple(each.values())) for each in measured]).mean(0)
    return dict(zip(measured[0], means.unbind(), strict=True))


def train_updates(updates: Updates, data: Split, seed: int, epoch: int, count: int) -> Iterator[Measured]:
    """The updates of one epoch of one seed."""
    layers = stream(seed, "layers", epoch, data.data.device)
    return updates.epoch(layers, epoch_batches(updates.recipe, data, seed, epoch), epoch, count)


def ready(gan: GAN, layers: Streams) -> None:
    """Puts both networks into training mode, and lets them draw from this stream."""
    for network in (gan.generator, gan.discriminator):
        network.train()
        draw_from(network, layers)


def anneal(gan: GAN, recipe: Recipe, remaining: float) -> None:
    """What falls to 0 over the run: learning rates and instance noise, where the recipe says so."""
    if recipe.lr_decay == "linear":
        gan.generator_optimizer.param_groups[0]["lr"] = recipe.generator_lr * remaining
        gan.discriminator_optimizer.param_groups[0]["lr"] = recipe.discriminator_lr * remaining
    if recipe.instance_noise:
        for module in gan.discriminator.modules():
            if isinstance(module, Noisy):
                module.deviation = recipe.instance_noise * remaining


def means(measured: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of each thing that updates measured. The only place where training waits for the device."""
    return {name: torch.stack([each[name] for each in measured]).mean().item() for name in measured[0]}
