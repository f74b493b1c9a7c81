"""Trains several seeds as one: the same steps, on networks whose weights have a leading axis of seeds.

Each seed keeps what it has alone: its random streams, its run folder with journal, checkpoint and pictures, and its own
networks and optimisers. These receive what was learned after every epoch, and are what is judged and saved. So a run
that began among others can go on alone, and the other way round. A seed that diverges leaves the others, which go on.

A seed's result equals its result alone, up to rounding: a sum over a batch may be taken in another order.

If convolutions are recorded on a GPU, the seeds are trained abreast instead: each alone, at the same time.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

from benchmarks.algorithm.stacked import Abreast, StackedGAN, goes_abreast, takes_several_rates
from benchmarks.config import RunConfig
from benchmarks.inference.run import Run
from benchmarks.training import loop
from benchmarks.training.listener import ProgressListener
from benchmarks.training.loop import Training
from benchmarks.training.options import RunOptions
from benchmarks.training.train import open_run
from variants import UserError, load_variant
from variants.stacked import StackedNetwork, check_loss

Ended = Run | BaseException


def train_group(
    configs: Sequence[RunConfig],
    options: RunOptions,
    notes: Sequence[str],
    listeners: Sequence[ProgressListener],
) -> list[Ended]:
    """Trains runs that differ in seed and learning rates only; returns for each its Run, or the error that ended it.

    listeners: one a run. Trains as one the runs that have done as many epochs; trains one by one the runs whose
    networks cannot be stacked, and tells their listeners why. Raises KeyboardInterrupt after marking the runs that were
    in training as killed.
    """
    ended: dict[int, Ended] = {}
    waiting: dict[int, Training] = {}
    with ExitStack() as folders:
        for place, (config, listener) in enumerate(zip(configs, listeners, strict=True)):
            try:
                run = folders.enter_context(open_run(config, options, notes, listener))
                if isinstance(run, Run):
                    ended[place] = run
                else:
                    waiting[place] = run
            # A plugin may call sys.exit, which must not end the other runs.
            except (Exception, SystemExit) as error:
                ended[place] = error
        groups: dict[tuple[object, ...], dict[int, Training]] = defaultdict(dict)
        for place, run in waiting.items():
            recipe = run.config.recipe
            rates = () if takes_several_rates(recipe) else (recipe.generator_lr, recipe.discriminator_lr)
            groups[run.state.epoch, run.updates, rates][place] = run
        for group in groups.values():
            why = find_obstacle(next(iter(group.values()))) if len(group) > 1 else ""
            for run in group.values() if why else ():
                run.listener.say(f"seeds are trained one by one: {why}")
            ended |= train_one_by_one(group) if why or len(group) == 1 else Lockstep(group).run()
    return [ended[place] for place in range(len(configs))]


def find_obstacle(run: Training) -> str:
    """Returns why a training cannot be stacked with its other seeds, as the end of a sentence; "" if it can."""
    if why := load_variant(run.config.variant).not_stackable_because:
        return why
    if goes_abreast(run.state.gan, run.recorder):
        return ""
    try:
        check_loss(run.objective.adversarial)
        for network in (run.state.gan.generator, run.state.gan.discriminator):
            StackedNetwork([network])
    except UserError as refused:
        return str(refused)
    return ""


def train_one_by_one(group: Mapping[int, Training]) -> dict[int, Ended]:
    ended: dict[int, Ended] = {}
    for place, run in group.items():
        try:
            run.run()
            ended[place] = Run(run.folder)
        except (Exception, SystemExit) as error:
            ended[place] = error
    return ended


class Lockstep:
    """Takes trainings from epoch to epoch together, until each has ended or failed."""

    def __init__(self, group: Mapping[int, Training]) -> None:
        self.left = dict(group)
        self.ended: dict[int, Ended] = {}

    def run(self) -> dict[int, Ended]:
        try:
            self.epochs()
        except BaseException as error:
            # An error of the whole group, such as a lack of memory, or Ctrl-C.
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
        saved, stacked = time.monotonic(), None
        first = next(iter(self.left.values()), None)
        for epoch in range(first.state.epoch + 1, first.config.recipe.epochs + 1) if first else ():
            if not self.left:
                return
            if stacked is None or len(stacked.alone) > len(self.left):
                stacked = self.stack()
            measured = self.train_epoch(stacked, epoch)
            self.each(lambda run, epoch=epoch, measured=measured: run.complete(epoch, measured[run.config.seed]))
            if epoch == first.config.recipe.epochs or time.monotonic() - saved > loop.CHECKPOINT_SECONDS:
                self.each(Training.save)
                saved = time.monotonic()
            self.each(lambda run: run.notify())
        self.each(Training.finish)
        self.each(Training.end)
        self.ended |= {place: Run(run.folder) for place, run in self.left.items()}

    def stack(self) -> StackedGAN | Abreast:
        """Returns the GANs of all runs that are left, as one."""
        runs = list(self.left.values())
        first, own = runs[0], [run.state.gan for run in runs]
        if goes_abreast(own[0], first.recorder):
            return Abreast(own, [run.steps for run in runs], [run.recorder.stream for run in runs])
        return StackedGAN(own, first.objective, first.config.recipe, first.recorder)

    def each(self, do: Callable[[Training], None]) -> None:
        """Calls a function on every training that is left; drops the ones that fail."""
        for place, run in list(self.left.items()):
            try:
                do(run)
            except (Exception, SystemExit) as error:
                del self.left[place]
                self.ended[place] = error
                with suppress(Exception):
                    run.end(error)

    def train_epoch(self, stacked: StackedGAN | Abreast, epoch: int) -> dict[int, dict[str, dict[str, float]]]:
        """Trains one epoch; returns by seed its curves and its share of the time."""
        began = time.perf_counter()
        runs = list(self.left.values())
        data, seeds = [run.data for run in runs], [run.config.seed for run in runs]

        values = []
        for measured in stacked.updates(data, seeds, epoch, runs[0].updates):
            values.append(measured)
            for run in runs:
                run.listener.update(epoch, len(values))
        curves = stacked.curves(values)
        seconds = (time.perf_counter() - began) / len(runs)
        return {
            run.config.seed: {
                "curves": {name: each[place] for name, each in curves.items()},
                "timing": run.compute_timing(seconds),
            }
            for place, run in enumerate(runs)
        }
