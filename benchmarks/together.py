"""Several seeds trained as one: the same steps, on networks whose weights have a leading axis of seeds.

Each seed keeps all that it has alone: its random streams, its run folder with journal, checkpoint and pictures, and its
own networks and optimisers, which get what was learnt after every epoch and are what is judged and kept. So a run that
began among others can go on alone, and the other way round. A seed that diverges leaves the others, which go on.

What a seed gives is what it gives alone, but for rounding: a sum over a batch may be taken in another order.

Where convolutions are recorded on a GPU, seeds are trained abreast instead: each alone, at the same time.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import training
from benchmarks.batches import side_by_side
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset, Split
from benchmarks.randomness import stream
from benchmarks.runs import Run
from benchmarks.steps import Players, players
from benchmarks.training import Training, Watcher, loaded, means, opened
from benchmarks.updates import Recorder, Updates, ready, train_updates, updates_of
from variants import Recipe, Refused, load_variant
from variants.objective import Objective
from variants.remedies import Noisy
from variants.seeds import Replays, Seeds, check_loss

Ended = Run | BaseException


def train_together(configs: Sequence[RunConfig], watchers: Sequence[Watcher], **options: Any) -> list[Ended]:
    """Trains runs that differ in their seed only, as one, and tells how each ended: as its Run, or by what error.

    watchers: one a run. options: all of those of `training.train`. Runs that have come equally far are trained as one;
    where their networks cannot be, which their watchers are told, they are trained one by one. Raises
    KeyboardInterrupt after having marked what was in training as killed.
    """
    ended: dict[int, Ended] = {}
    waiting: dict[int, Training] = {}
    datasets: dict[str, Dataset] = {}
    with ExitStack() as folders:
        for place, (config, watcher) in enumerate(zip(configs, watchers, strict=True)):
            try:
                if config.checksum not in datasets:
                    datasets[config.checksum] = loaded(config.dataset, options["data_dir"], config.seed)
                dataset = datasets[config.checksum]
                opening = opened(config, watcher=watcher, dataset=dataset, **options)
                if isinstance(run := folders.enter_context(opening), Run):
                    ended[place] = run
                else:
                    waiting[place] = run
            # A plugin may call sys.exit, which must not end the other runs.
            except (Exception, SystemExit) as error:
                ended[place] = error
        for group in equally_far(waiting):
            if len(group) > 1 and (why := refusal(next(iter(group.values())))):
                for run in group.values():
                    run.watcher.say(f"seeds are trained one by one: {why}")
                ended |= one_by_one(group)
            else:
                ended |= one_by_one(group) if len(group) == 1 else Lockstep(group).run()
    return [ended[place] for place in range(len(configs))]


def equally_far(waiting: Mapping[int, Training]) -> list[dict[int, Training]]:
    """The trainings in groups that have done as many epochs, of as many updates."""
    groups: dict[tuple[int, int], dict[int, Training]] = defaultdict(dict)
    for place, run in waiting.items():
        groups[run.state.epoch, run.updates][place] = run
    return list(groups.values())


def refusal(run: Training) -> str:
    """Why such a training cannot go on as one with its other seeds, as the end of a sentence; "" where it can."""
    if why := load_variant(run.config.variant).one_by_one:
        return why
    if goes_abreast(run.state.players, run.recorder):
        return ""
    try:
        check_loss(run.objective.adversarial)
        for network in (run.state.players.generator, run.state.players.discriminator):
            Seeds([network])
    except Refused as refused:
        return str(refused)
    return ""


def one_by_one(group: Mapping[int, Training]) -> dict[int, Ended]:
    ended: dict[int, Ended] = {}
    for place, run in group.items():
        try:
            run.run()
            ended[place] = Run(run.folder)
        except (Exception, SystemExit) as error:
            ended[place] = error
    return ended


class Lockstep:
    """Trainings that go from epoch to epoch together, until each has ended or failed."""

    def __init__(self, group: Mapping[int, Training]) -> None:
        self.left = dict(group)
        self.ended: dict[int, Ended] = {}

    def run(self) -> dict[int, Ended]:
        try:
            self.epochs()
        except BaseException as error:
            # Of all of them together, such as a lack of memory, or Ctrl-C.
            for place, run in self.left.items():
                self.ended[place] = error
                with suppress(Exception):
                    run.end(error)
            if not isinstance(error, Exception):
                raise
        return self.ended

    def epochs(self) -> None:
        for run in self.left.values():
            run.folder.write_environment({**run.folder.environment(), "together": len(self.left)})
        self.each(Training.start)
        saved, united = time.monotonic(), None
        first = next(iter(self.left.values()), None)
        for epoch in range(first.state.epoch + 1, first.config.recipe.epochs + 1) if first else ():
            if not self.left:
                return
            if united is None or len(united.alone) > len(self.left):
                united = self.united()
            measured = self.train_epoch(united, epoch)
            self.each(lambda run, epoch=epoch, measured=measured: run.complete(epoch, measured[run.config.seed]))
            if epoch == first.config.recipe.epochs or time.monotonic() - saved > training.CHECKPOINT_SECONDS:
                self.each(Training.save)
                saved = time.monotonic()
            self.each(lambda run: run.notify())
        self.each(Training.finish)
        self.each(Training.end)
        self.ended |= {place: Run(run.folder) for place, run in self.left.items()}

    def united(self) -> "Stack | Abreast":
        """What trains all that are left."""
        runs = list(self.left.values())
        first, own = runs[0], [run.state.players for run in runs]
        if goes_abreast(own[0], first.recorder):
            return Abreast(own, [run.steps for run in runs], [run.recorder.stream for run in runs])
        return Stack(own, first.objective, first.config.recipe, first.recorder)

    def each(self, do: Callable[[Training], None]) -> None:
        """Has every training that is left do something; one that fails leaves the others."""
        for place, run in list(self.left.items()):
            try:
                do(run)
            except (Exception, SystemExit) as error:
                del self.left[place]
                self.ended[place] = error
                with suppress(Exception):
                    run.end(error)

    def train_epoch(self, united: "Stack | Abreast", epoch: int) -> dict[int, dict[str, dict[str, float]]]:
        """One epoch of updates: by seed, its curves and its share of the time."""
        began = time.perf_counter()
        runs = list(self.left.values())
        data, seeds = [run.data for run in runs], [run.config.seed for run in runs]

        values = []
        for measured in united.updates(data, seeds, epoch, runs[0].updates):
            values.append(measured)
            for run in runs:
                run.watcher.update(epoch, len(values))
        curves = united.curves(values)
        seconds = (time.perf_counter() - began) / len(runs)
        return {
            run.config.seed: {
                "curves": {name: each[place] for name, each in curves.items()},
                "timing": run.timing(seconds),
            }
            for place, run in enumerate(runs)
        }


def goes_abreast(both: Players, recorder: Recorder | None) -> bool:
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
        self, alone: Sequence[Players], steps: Sequence[Updates], lanes: Sequence[torch.cuda.Stream | None]
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


class Stack:
    """The players of several seeds as one, with one optimiser for each network. alone: each seed's own."""

    def __init__(
        self, alone: Sequence[Players], objective: Objective, recipe: Recipe, recorder: Recorder | None = None
    ) -> None:
        self.alone, self.recipe = alone, recipe
        generator, discriminator = (Seeds([getattr(own, name) for own in alone]) for name in NETWORKS[:2])
        replays, averaged = [own.replay for own in alone], [own.averaged for own in alone]
        self.players = replace(
            players(generator, discriminator, recipe, alone[0].precision),
            replay=None if replays[0] is None else Replays(replays),
            averaged=None if averaged[0] is None else Seeds(averaged),
        )
        for role in OPTIMIZERS:
            state = getattr(self.players, role).state
            for stacked, *weights in self.weights(role):
                states = [getattr(own, role).state.get(w, {}) for own, w in zip(alone, weights, strict=True)]
                if states[0]:
                    of_all = {name: [each[name] for each in states] for name in states[0]}
                    state[stacked] = {name: gathered(name, values, stacked) for name, values in of_all.items()}
        self.steps = updates_of(self.players, objective, recipe, recorder)

    def weights(self, role: str) -> Iterator[tuple[nn.Parameter, ...]]:
        """The weights that an optimiser moves: those of all seeds as one, and those of each."""
        optimizers = [getattr(each, role) for each in (self.players, *self.alone)]
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
                getattr(own, role).param_groups[0]["lr"] = getattr(self.players, role).param_groups[0]["lr"]
            for mine, all_ in zip(noisy(own.discriminator), noisy(self.players.discriminator), strict=True):
                mine.deviation = all_.deviation

    @cached_property
    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Every tensor of each seed alone, and where it is found among those of all. Looked up after an update, by
        which the optimisers have their state."""
        found: list[tuple[Tensor, Tensor]] = []
        for name in NETWORKS:
            if (network := getattr(self.players, name)) is not None:
                alone = [tensors(getattr(own, name)) for own in self.alone]
                for together, *mine in zip(tensors(network), *alone, strict=True):
                    found += [(own, of_seed(together, place, own)) for place, own in enumerate(mine)]
        for role in OPTIMIZERS:
            for stacked, *weights in self.weights(role):
                for name, value in getattr(self.players, role).state.get(stacked, {}).items():
                    for place, (own, weight) in enumerate(zip(self.alone, weights, strict=True)):
                        part, like = (value, value) if name == "step" else (of_seed(value, place, weight), weight)
                        found.append((getattr(own, role).state[weight].setdefault(name, torch.empty_like(like)), part))
        return found


NETWORKS = ("generator", "discriminator", "averaged")
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
