"""benchmarks.algorithm.stacked: TODO."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from benchmarks.algorithm.batches import side_by_side
from benchmarks.algorithm.cuda_graphs import Recorder, updates_of
from benchmarks.algorithm.epoch import Updates, means, ready, train_updates
from benchmarks.algorithm.gan import GAN, make_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.datasets import Split
from variants import Recipe
from variants.objective import Objective
from variants.remedies import Noisy
from variants.stacked import StackedNetwork, StackedReplay


def goes_abreast(both: GAN, recorder: Recorder | None) -> bool:
    """Whether seeds of such players go abreast: they are recorded, and have convolutions.

    Those of all seeds at once, in groups, take half as long again. Where nothing is recorded a GPU waits for launches,
    and one for all seeds is better.
    """
    return recorder is not None and any(
        isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        for network in (both.generator, both.discriminator)
        for module in network.modules()
    )


class Abreast:
    """Several seeds that are each trained alone, an update of each in turn, on a stream of the GPU for each.

    alone: each seed's players. steps: their updates. lanes: their streams; None where a device has none. What is
    recorded has to run on the stream of its recording: recordings of one stream share memory that products work in.
    """

    def __init__(
        self, alone: Sequence[GAN], steps: Sequence[Updates], lanes: Sequence[torch.cuda.Stream | None]
    ) -> None:
        self.alone, self.steps, self.lanes = alone, steps, lanes

    def updates(
        self, data: Sequence[Split], seeds: Sequence[int], epoch: int, count: int
    ) -> Iterator[list[dict[str, Tensor]]]:
        """The updates of one epoch: what those of each seed measured, to be read through `curves`."""
        trained = [
            train_updates(steps, d, seed, epoch, count) for steps, d, seed in zip(self.steps, data, seeds, strict=True)
        ]
        for lane in filter(None, self.lanes):
            lane.wait_stream(torch.cuda.current_stream(lane.device))
        for _ in range(count):
            measured = []
            for lane, updates in zip(self.lanes, trained, strict=True):
                with torch.cuda.stream(lane):
                    measured.append(next(updates))
            yield measured

    def curves(self, values: Sequence[list[dict[str, Tensor]]]) -> dict[str, list[float]]:
        """As that of a Stack."""
        for lane in filter(None, self.lanes):
            torch.cuda.current_stream(lane.device).wait_stream(lane)
        of_each = [means(own) for own in zip(*values, strict=True)]
        return {name: [own[name] for own in of_each] for name in of_each[0]}


class StackedGAN:
    """The players of several seeds as one, with one optimiser for each network. alone: each seed's own."""

    def __init__(
        self, alone: Sequence[GAN], objective: Objective, recipe: Recipe, recorder: Recorder | None = None
    ) -> None:
        self.alone, self.recipe = alone, recipe
        generator, discriminator = (StackedNetwork([getattr(own, name) for own in alone]) for name in NETWORKS[:2])
        replays, ema_generator = [own.replay for own in alone], [own.ema_generator for own in alone]
        self.gan = replace(
            make_gan(generator, discriminator, recipe, alone[0].precision),
            replay=None if replays[0] is None else StackedReplay(replays),
            ema_generator=None if ema_generator[0] is None else StackedNetwork(ema_generator),
        )
        for role in OPTIMIZERS:
            state = getattr(self.gan, role).state
            for stacked, *weights in self.weights(role):
                states = [getattr(own, role).state.get(w, {}) for own, w in zip(alone, weights, strict=True)]
                if states[0]:
                    of_all = {name: [each[name] for each in states] for name in states[0]}
                    state[stacked] = {name: gathered(name, values, stacked) for name, values in of_all.items()}
        self.steps = updates_of(self.gan, objective, recipe, recorder)

    def weights(self, role: str) -> Iterator[tuple[nn.Parameter, ...]]:
        """The weights that an optimiser moves: those of all seeds as one, and those of each."""
        optimizers = [getattr(each, role) for each in (self.gan, *self.alone)]
        return zip(*(optimizer.param_groups[0]["params"] for optimizer in optimizers), strict=True)

    def updates(
        self, data: Sequence[Split], seeds: Sequence[int], epoch: int, count: int
    ) -> Iterator[dict[str, Tensor]]:
        """The updates of one epoch, as `updates.train_updates` has them; what they measured is (seeds,)."""
        layers = tuple(stream(s, "layers", epoch, d.data.device) for s, d in zip(seeds, data, strict=True))
        for own, each in zip(self.alone, layers, strict=True):
            ready(own, each)
        return self.steps.epoch(layers, side_by_side(self.recipe, data, seeds, epoch), epoch, count)

    def curves(self, values: Sequence[dict[str, Tensor]]) -> dict[str, list[float]]:
        """The means of what the updates of an epoch measured, of each seed; which get what they have learnt."""
        self.hand_out()
        # The only place where training waits for the device.
        return {name: torch.stack([each[name] for each in values]).mean(0).tolist() for name in values[0]}

    @torch.no_grad()
    def hand_out(self) -> None:
        """Gives each seed's own players what they have learnt."""
        # All at once: on a GPU, so many copies would otherwise wait for Python.
        torch._foreach_copy_(*zip(*self.pairs, strict=True))
        for own in self.alone:
            for role in OPTIMIZERS:
                getattr(own, role).param_groups[0]["lr"] = getattr(self.gan, role).param_groups[0]["lr"]
            for mine, all_ in zip(noisy(own.discriminator), noisy(self.gan.discriminator), strict=True):
                mine.deviation = all_.deviation

    @cached_property
    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Every tensor of each seed alone, and where it is found among those of all. Looked up after an update, by
        which the optimisers have their state."""
        found: list[tuple[Tensor, Tensor]] = []
        for name in NETWORKS:
            if (network := getattr(self.gan, name)) is not None:
                alone = [tensors(getattr(own, name)) for own in self.alone]
                for together, *mine in zip(tensors(network), *alone, strict=True):
                    found += [(own, of_seed(together, place, own)) for place, own in enumerate(mine)]
        for role in OPTIMIZERS:
            for stacked, *weights in self.weights(role):
                for name, value in getattr(self.gan, role).state.get(stacked, {}).items():
                    for place, (own, weight) in enumerate(zip(self.alone, weights, strict=True)):
                        part, like = (value, value) if name == "step" else (of_seed(value, place, weight), weight)
                        found.append((getattr(own, role).state[weight].setdefault(name, torch.empty_like(like)), part))
        return found


NETWORKS = ("generator", "discriminator", "ema_generator")
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def noisy(network: nn.Module) -> list[Noisy]:
    return [module for module in network.modules() if isinstance(module, Noisy)]


def gathered(name: str, values: Sequence[Tensor], weight: Tensor) -> Tensor:
    """A value that an optimiser keeps for a weight, of all seeds; the count of steps is the same for all."""
    if name != "step":
        # As the weights of all seeds are: fused Adam goes through both in the order of memory.
        together = torch.zeros_like(weight)
        for place, value in enumerate(values):
            of_seed(together, place, value).copy_(value)
        return together
    if any(not torch.equal(value, values[0]) for value in values):
        raise ValueError("these seeds have done different numbers of steps")
    return values[0].clone()


def of_seed(together: Tensor, place: int, alone: Tensor) -> Tensor:
    """One seed's part of a tensor of all seeds, without the inputs that a linear layer has more than alone."""
    return together[place][..., : alone.shape[-1]] if alone.ndim else together[place]
