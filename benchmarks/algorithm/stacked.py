"""Trains several seeds as one: by stacked networks, or, for recorded convolutions on a GPU, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor, nn

from benchmarks.algorithm.batches import stacked_batches
from benchmarks.algorithm.cuda_graphs import Recorder, make_updates
from benchmarks.algorithm.epoch import Updates, mean_values, prepare_training, train_updates
from benchmarks.algorithm.gan import GAN, make_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.datasets import Split
from variants import Recipe
from variants.objective import Objective
from variants.remedies import Noisy
from variants.stacked import StackedNetwork, StackedReplay

NETWORKS = ("generator", "discriminator", "ema_generator")
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def goes_abreast(both: GAN, recorder: Recorder | None) -> bool:
    """Tells whether seeds of such a GAN are trained abreast: their updates are recorded, and they have convolutions.

    Convolutions of all seeds in groups take half as long again. Where nothing is recorded a GPU waits for launches, and
    one launch for all seeds is better.
    """
    return recorder is not None and any(
        isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        for network in (both.generator, both.discriminator)
        for module in network.modules()
    )


def takes_several_rates(recipe: Recipe) -> bool:
    """Tells whether seeds with different learning rates can be trained as one by such a recipe."""
    return recipe.optimizer == "adam" and not recipe.unrolled_steps


class Abreast:
    """Trains several seeds each alone, an update of each in turn, on a stream of the GPU for each.

    alone: each seed's GAN. steps: their updates. lanes: their streams; None where a device has none. A recording has to
    run on the stream that it was made on: recordings of one stream share the memory in which cuBLAS works.
    """

    def __init__(
        self, alone: Sequence[GAN], steps: Sequence[Updates], lanes: Sequence[torch.cuda.Stream | None]
    ) -> None:
        self.alone, self.steps, self.lanes = alone, steps, lanes

    def updates(
        self, data: Sequence[Split], seeds: Sequence[int], epoch: int, count: int
    ) -> Iterator[list[dict[str, Tensor]]]:
        """Does the updates of one epoch; yields the measurements of each seed, to be read through `curves`."""
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
        """Averages the measurements of an epoch, for each seed."""
        for lane in filter(None, self.lanes):
            torch.cuda.current_stream(lane.device).wait_stream(lane)
        of_each = [mean_values(own) for own in zip(*values, strict=True)]
        return {name: [own[name] for own in of_each] for name in of_each[0]}


class StackedGAN:
    """Trains the GANs of several seeds as one, with one optimiser for each network.

    alone: each seed's own GAN. recipe: of the first one; raises ValueError where learning rates differ, and it does
    not take several (`takes_several_rates`).
    """

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
        # Of each optimiser: what each seed multiplies the first one's learning rate by.
        self.factors: dict[str, list[float]] = {}
        for role in OPTIMIZERS:
            rates = [getattr(own, role).param_groups[0]["lr"] for own in alone]
            self.factors[role] = [rate / rates[0] for rate in rates]
            if len(set(rates)) > 1:
                if not takes_several_rates(recipe):
                    raise ValueError("seeds with different learning rates cannot be trained as one by this recipe")
                getattr(self.gan, role).blocks = _cut_blocks(self.factors[role])
            state = getattr(self.gan, role).state
            for stacked, *weights in self.weights(role):
                states = [getattr(own, role).state.get(w, {}) for own, w in zip(alone, weights, strict=True)]
                if states[0]:
                    of_all = {name: [each[name] for each in states] for name in states[0]}
                    state[stacked] = {name: _stack_state(name, values, stacked) for name, values in of_all.items()}
        self.steps = make_updates(self.gan, objective, recipe, recorder)

    def weights(self, role: str) -> Iterator[tuple[nn.Parameter, ...]]:
        """Yields each weight that an optimiser moves: the stacked one, then that of each seed."""
        optimizers = [getattr(each, role) for each in (self.gan, *self.alone)]
        return zip(*(optimizer.param_groups[0]["params"] for optimizer in optimizers), strict=True)

    def updates(
        self, data: Sequence[Split], seeds: Sequence[int], epoch: int, count: int
    ) -> Iterator[dict[str, Tensor]]:
        """Does the updates of one epoch; each measurement is (seeds,)."""
        layers = tuple(stream(s, "layers", epoch, d.data.device) for s, d in zip(seeds, data, strict=True))
        for own, each in zip(self.alone, layers, strict=True):
            prepare_training(own, each)
        return self.steps.epoch(layers, stacked_batches(self.recipe, data, seeds, epoch), epoch, count)

    def curves(self, values: Sequence[dict[str, Tensor]]) -> dict[str, list[float]]:
        """Averages the measurements of an epoch, for each seed, and hands the trained weights out to the seeds."""
        self.hand_out()
        # Training waits for the device only here.
        return {name: torch.stack([each[name] for each in values]).mean(0).tolist() for name in values[0]}

    @torch.no_grad()
    def hand_out(self) -> None:
        """Copies the trained weights and the state of the optimisers to each seed's own GAN."""
        # All at once: on a GPU, so many copies would otherwise wait for Python.
        torch._foreach_copy_(*zip(*self.pairs, strict=True))
        for place, own in enumerate(self.alone):
            for role in OPTIMIZERS:
                rate = getattr(self.gan, role).param_groups[0]["lr"]
                getattr(own, role).param_groups[0]["lr"] = self.factors[role][place] * rate
            for mine, all_ in zip(_noise_layers(own.discriminator), _noise_layers(self.gan.discriminator), strict=True):
                mine.deviation = all_.deviation

    @cached_property
    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Pairs of each seed's own tensor and its part of the stacked one.

        Looked up after an update, when the optimisers have their state.
        """
        found: list[tuple[Tensor, Tensor]] = []
        for name in NETWORKS:
            if (network := getattr(self.gan, name)) is not None:
                alone = [_tensors(getattr(own, name)) for own in self.alone]
                for together, *mine in zip(_tensors(network), *alone, strict=True):
                    found += [(own, part_of_seed(together, place, own)) for place, own in enumerate(mine)]
        for role in OPTIMIZERS:
            for stacked, *weights in self.weights(role):
                for name, value in getattr(self.gan, role).state.get(stacked, {}).items():
                    for place, (own, weight) in enumerate(zip(self.alone, weights, strict=True)):
                        part, like = (value, value) if name == "step" else (part_of_seed(value, place, weight), weight)
                        found.append((getattr(own, role).state[weight].setdefault(name, torch.empty_like(like)), part))
        return found


def _cut_blocks(factors: Sequence[float]) -> tuple[tuple[slice, float], ...]:
    """Returns the places of neighbours with the same factor, and the factor."""
    blocks, start = [], 0
    for factor, same in groupby(factors):
        end = start + len(list(same))
        blocks.append((slice(start, end), factor))
        start = end
    return tuple(blocks)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _noise_layers(network: nn.Module) -> list[Noisy]:
    return [module for module in network.modules() if isinstance(module, Noisy)]


def _stack_state(name: str, values: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Stacks a value that an optimiser keeps for a weight; the count of steps has to be the same for all seeds."""
    if name != "step":
        # Laid out as the stacked weights are: fused Adam goes through both in the order of memory.
        together = torch.zeros_like(weight)
        for place, value in enumerate(values):
            part_of_seed(together, place, value).copy_(value)
        return together
    if any(not torch.equal(value, values[0]) for value in values):
        raise ValueError("these seeds have done different numbers of steps")
    return values[0].clone()


def part_of_seed(together: Tensor, place: int, alone: Tensor) -> Tensor:
    """Returns one seed's part of a stacked tensor, without the inputs that padding added to a linear layer."""
    return together[place][..., : alone.shape[-1]] if alone.ndim else together[place]
