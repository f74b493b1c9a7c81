"""Implements what is timed: this project's loop, the machine's peak, the stock loop.

A unit of `loop` is a generator update with its discriminator updates. All contestants of a case train the same networks
by the same recipe on the same data, from the same weights, each in a process of its own.
"""

import itertools
import time
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.algorithm.cuda_graphs import WARM_UPDATES, CudaGraphs, Recorder, make_recorder, make_updates
from benchmarks.algorithm.device import check_precision, device_name, keep_memory, peak_memory, resolve_device
from benchmarks.algorithm.epoch import mean_values, train_updates
from benchmarks.algorithm.gan import GAN, build_gan
from benchmarks.algorithm.operations import count_operations
from benchmarks.algorithm.precision import products_in
from benchmarks.algorithm.random_streams import initialisation
from benchmarks.algorithm.stacked import Abreast, StackedGAN, goes_abreast
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset
from benchmarks.timing import stock
from benchmarks.timing.cases import Case
from benchmarks.timing.machine import describe_software
from benchmarks.training.cache import load_dataset
from benchmarks.training.configure import find_recipe
from variants import Recipe, UserError, load_variant
from variants.objective import objective

# Large enough to reach the peak: three matrices are 48 MiB on a CPU, and 768 MiB on a GPU.
_PEAK_SIZE, _PEAK_SIZE_GPU = 2048, 8192


class Contestant:
    """Loads the case, and times units of work, which are methods of a subclass."""

    def __init__(self, case: Case) -> None:
        self.case, self.device = case, resolve_device(case.device)
        check_precision(case.precision, self.device)
        self.variant = load_variant(case.variant)
        self.dataset: Dataset = load_dataset(DatasetConfig(case.dataset), case.data_dir, 0)
        self.recipe: Recipe = find_recipe(self.variant, case.recipe, self.dataset.spec).with_(case.changes)
        self.variant.check(self.recipe, self.dataset.spec)
        self.epoch_updates = self.recipe.epoch_updates or len(self.dataset.train) // self.recipe.batch_size

    def count_in(self, unit: str, seconds: float) -> int:
        """Counts the units done in so many seconds, at least one, after a warm-up."""
        work = getattr(self, unit)
        for _ in range(WARM_UPDATES + 1):
            work()
        self._wait()
        done, began = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - began < seconds:
            work()
            self._wait()
            done += 1
        return done

    def seconds_for(self, unit: str, count: int) -> float:
        """Returns the seconds that so many units take."""
        work = getattr(self, unit)
        self._wait()
        began = time.perf_counter()
        for _ in range(count):
            work()
        self._wait()
        return time.perf_counter() - began

    def memory(self) -> float:
        """Returns the peak memory so far, in MiB; NaN where the system does not report it."""
        return peak_memory(self.device)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Stock(Contestant):
    """Runs the loop as tutorials write it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        stock.refuse_unknown(self.recipe)
        with initialisation(0):
            networks = self.variant.build(self.dataset.spec, self.recipe)
        generator, discriminator = (stock.use_torch_layers(network).to(self.device) for network in networks)
        loader = stock.make_loader(self.dataset.train, self.recipe.batch_size)
        self._updates = stock.train(generator, discriminator, loader, self.recipe)

    def loop(self) -> None:
        next(self._updates)

    def facts(self) -> dict[str, Any]:
        return {}


class Ours(Contestant):
    """Runs this project's loop, and a product as fast as the machine can. With several seeds, a unit updates each."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        keep_memory()
        self.objective, self.notes = objective(self.recipe), list(self.dataset.notes)
        self.recorded = case.cuda_graphs and bool(
            make_recorder(self.device, self.variant, self.recipe, self.notes.append)
        )
        if self.recorded:
            self.notes.append("our updates were recorded as CUDA graphs")
        if case.seeds > 1 and self.variant.not_stackable_because:
            raise UserError(f"seeds of {case.variant} are trained one by one: {self.variant.not_stackable_because}")
        self.data, self.seeds = self.dataset.train.to(self.device), range(case.seeds)
        self._updates = self._epochs()

    def loop(self) -> None:
        """Does one update as `training.train` does, with batches, noise, and the curves at the end of an epoch."""
        next(self._updates)

    def _epochs(self) -> Iterator[None]:
        if self.case.seeds > 1:
            united = self._united()
            updates_in, curves = partial(united.updates, [self.data] * self.case.seeds, self.seeds), united.curves
        else:
            alone = make_updates(self._fresh(0), self.objective, self.recipe, self._recorder())
            updates_in, curves = partial(train_updates, alone, self.data, 0), mean_values
        for epoch in itertools.cycle(range(1, self.recipe.epochs + 1)):
            measured = []
            for measurements in updates_in(epoch, self.epoch_updates):
                measured.append(measurements)
                yield
            curves(measured)

    def peak(self) -> None:
        """Does one product of two large square matrices, in the precision of the case."""
        left, right, into = self._matrices
        with products_in(self.case.precision):
            torch.mm(left, right, out=into)

    @cached_property
    def _matrices(self) -> tuple[Tensor, ...]:
        dtype = torch.bfloat16 if self.case.precision == "bfloat16" else torch.float32
        size = _PEAK_SIZE if self.device.type == "cpu" else _PEAK_SIZE_GPU
        return tuple(torch.randn(size, size, device=self.device).to(dtype) for _ in range(3))

    def facts(self) -> dict[str, Any]:
        """Returns what needs no clock: sizes, and the operations of an update of one seed."""
        recipe, gan = self.recipe, self._fresh(0)
        one = train_updates(make_updates(gan, self.objective, recipe), self.data, 0, 1, 1)
        return {
            "batch_size": recipe.batch_size,
            "critic_steps": recipe.critic_steps,
            "seeds": self.case.seeds,
            "linear": (recipe.generator_layers, recipe.discriminator_layers) == ("linear", "linear"),
            "epoch_updates": self.epoch_updates,
            "epochs": recipe.epochs,
            "parameters": {
                name: sum(p.numel() for p in getattr(gan, name).parameters()) for name in ("generator", "discriminator")
            },
            "operations": count_operations(partial(next, one)),
            "dataset": self.dataset.name,
            "recipe": self.variant.nearest(self.recipe)[0],
            "notes": self.notes,
            "software": describe_software(device_name(self.device)),
        }

    def peak_operations(self) -> int:
        return 2 * len(self._matrices[0]) ** 3

    def _fresh(self, seed: int) -> GAN:
        return build_gan(self.variant, self.dataset.spec, self.recipe, seed, self.device, self.case.precision)

    def _recorder(self) -> Recorder | None:
        return CudaGraphs(self.device) if self.recorded else None

    def _united(self) -> StackedGAN | Abreast:
        own, recorders = zip(*((self._fresh(seed), self._recorder()) for seed in self.seeds), strict=True)
        if not goes_abreast(own[0], recorders[0]):
            return StackedGAN(own, self.objective, self.recipe, recorders[0])
        steps = [make_updates(one, self.objective, self.recipe, each) for one, each in zip(own, recorders, strict=True)]
        return Abreast(own, steps, [each.stream for each in recorders])
