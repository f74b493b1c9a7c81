"""What is timed. A contestant lives in a process of its own; its units of work are timed so many at a time.

A unit of `loop` is a generator update with its discriminator updates. All contestants of a case train the same networks
by the same recipe on the same data, and each starts with the same weights.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.algorithm.batches import epoch_batches, stacked_batches
from benchmarks.algorithm.cuda_graphs import WARM_UPDATES, CudaGraphs, Recorder, make_recorder, make_updates
from benchmarks.algorithm.device import check_precision, device_name, keep_memory, peak_memory, resolve_device
from benchmarks.algorithm.epoch import Streams, mean_values, train_updates
from benchmarks.algorithm.gan import GAN, build_gan
from benchmarks.algorithm.precision import products_in
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.stacked import Abreast, StackedGAN, goes_abreast
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, Split
from benchmarks.timing import stock
from benchmarks.timing.cases import Case
from benchmarks.timing.machine import software
from benchmarks.timing.products import operations, peak_product, recorded
from benchmarks.training.cache import load_dataset
from benchmarks.training.configure import EVALUATIONS, configure, find_recipe
from benchmarks.training.train import train
from variants import Recipe, UserError, load_variant
from variants.batch import Batch
from variants.objective import objective

# Updates whose batches are kept for timing the networks alone: enough that none is learned by heart.
KEPT = 8
# As many as make some batches of the largest size that is timed.
RANDOM_IMAGES = 4096


def of_side(dataset: Dataset, side: int) -> Dataset:
    """The dataset with random grey images of that side to train on: cost does not depend on what they show."""
    shape, labels = (1, side, side), torch.arange(RANDOM_IMAGES) % dataset.spec.classes
    images = torch.randint(256, (RANDOM_IMAGES, *shape), generator=stream(0, "images"), dtype=torch.uint8)
    return replace(dataset, spec=replace(dataset.spec, shape=shape), train=Split(images, labels))


class Contestant:
    """What all have in common: the case, and a clock."""

    def __init__(self, case: Case) -> None:
        self.case, self.device = case, resolve_device(case.device)
        check_precision(case.precision, self.device)
        self.variant = load_variant(case.variant)
        self.dataset: Dataset = load_dataset(DatasetConfig(case.dataset, **case.options), case.data_dir, 0)
        if case.side:
            self.dataset = of_side(self.dataset, case.side)
        self.recipe: Recipe = find_recipe(self.variant, case.recipe, self.dataset.spec).with_(case.changes)
        self.variant.check(self.recipe, self.dataset.spec)
        self.epoch_updates = self.recipe.epoch_updates or len(self.dataset.train) // self.recipe.batch_size

    def count_in(self, unit: str, seconds: float) -> int:
        """How many units are done in so many seconds, one at least, after those that warm up."""
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
        """How long so many units take."""
        work = getattr(self, unit)
        self._wait()
        began = time.perf_counter()
        for _ in range(count):
            work()
        self._wait()
        return time.perf_counter() - began

    def memory(self) -> float:
        """The largest memory so far, in MiB; NaN where the system does not tell."""
        return peak_memory(self.device)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Stock(Contestant):
    """The loop as tutorials write it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        stock.refuse_what_it_does_not_know(self.recipe)
        with initialisation(0):
            networks = self.variant.build(self.dataset.spec, self.recipe)
        generator, discriminator = (stock.usual(network).to(self.device) for network in networks)
        loader = stock.batches(self.dataset.train, self.recipe.batch_size, case.loader_workers)
        self._updates = stock.train(generator, discriminator, loader, self.recipe)

    def loop(self) -> None:
        next(self._updates)

    def facts(self) -> dict[str, Any]:
        return {}


class Ours(Contestant):
    """This project's loop, and beside it what a step is made of. Where it trains several seeds, a unit is an update of
    each of them."""

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
        """One update as `training.train` does it, with batches, noise, and the figures of an epoch at its end."""
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

    def networks(self) -> None:
        """One update on batches and noise that are already there: the two networks, their losses and optimisers."""
        for part, updates in self._networks:
            with torch.cuda.stream(part.lane):
                next(updates)

    @cached_property
    def _networks(self) -> list[tuple["Part", Iterator[object]]]:
        return [(part, self._on_kept(part, part.recorder)) for part in self._parts]

    @cached_property
    def _plain(self) -> Iterator[object]:
        """The updates of the first part as they stand: what is counted and recorded is not seen in a CUDA graph."""
        return self._on_kept(self._parts[0])

    def _on_kept(self, part: "Part", recorder: Recorder | None = None) -> Iterator[object]:
        steps = make_updates(part.gan, self.objective, self.recipe, recorder)
        return steps.epoch(part.layers, itertools.cycle(part.kept), 1, sys.maxsize)

    @cached_property
    def _parts(self) -> list["Part"]:
        layers = [stream(seed, "layers", 0, self.device) for seed in self.seeds]
        if self.case.seeds > 1 and isinstance(united := self._united(), StackedGAN):
            batches = stacked_batches(self.recipe, [self.data] * len(layers), self.seeds, 0)
            return [Part(united.gan, layers, self._kept(batches), self._recorder(), len(layers))]
        batches = [epoch_batches(self.recipe, self.data, seed, 0) for seed in self.seeds]
        return [
            Part(self._fresh(seed), layers[seed], self._kept(batches[seed]), self._recorder()) for seed in self.seeds
        ]

    def _kept(self, batches: Iterator[Batch]) -> list[Batch]:
        return list(itertools.islice(batches, KEPT * (self.recipe.critic_steps + 1)))

    def products(self) -> None:
        """The matrix products and convolutions of such an update, alone."""
        for part, work in self._all_products:
            with torch.cuda.stream(part.lane):
                work()

    @cached_property
    def _products(self) -> list:
        """Those of the first part."""
        return recorded(partial(next, self._plain))

    @cached_property
    def _all_products(self) -> list[tuple["Part", Callable[[], object]]]:
        def not_stackable_because() -> Tensor:
            for product in self._products:
                product()
            return torch.empty(0)

        rounded = self._rounded(not_stackable_because)
        return [(part, self._recorded(rounded, part.recorder)) for part in self._parts]

    def _recorded(self, work: Callable[[], Tensor], recorder: Recorder | None) -> Callable[[], object]:
        if recorder is None:
            return work
        recorder.warm(work)
        return recorder.record(work, ())[1]

    def peak(self) -> None:
        """One large matrix product, in the precision of the case."""
        self._peak[0]()

    @cached_property
    def _peak(self) -> tuple[Callable[[], object], int]:
        dtype = torch.bfloat16 if self.case.precision == "bfloat16" else torch.float32
        product, count = peak_product(dtype, self.device)
        return self._rounded(product), count

    def _rounded(self, work: Callable[[], object]) -> Callable[[], object]:
        """In the precision of the case, where that is one of a GPU's products."""

        def rounded() -> object:
            with products_in(self._parts[0].gan.precision):
                return work()

        return rounded

    def facts(self) -> dict[str, Any]:
        """What is known without a clock: sizes, and the operations of an update of one seed."""
        recipe, first = self.recipe, self._parts[0]
        return {
            "batch_size": recipe.batch_size,
            "critic_steps": recipe.critic_steps,
            "seeds": self.case.seeds,
            "linear": (recipe.generator_layers, recipe.discriminator_layers) == ("linear", "linear"),
            "epoch_updates": self.epoch_updates,
            "epochs": recipe.epochs,
            "parameters": {
                name: sum(p.numel() for p in getattr(first.gan, name).parameters()) // first.seeds
                for name in ("generator", "discriminator")
            },
            "operations": operations(partial(next, self._plain)) // first.seeds,
            "dataset": self.dataset.name,
            "recipe": self.variant.nearest(self.recipe)[0],
            "notes": self.notes,
            "software": software(device_name(self.device)),
        }

    def peak_operations(self) -> int:
        return self._peak[1]

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


@dataclass
class Part:
    """GAN with updates of their own: of a seed, or of several as one. kept: batches that they are timed on."""

    gan: GAN
    layers: Streams
    kept: list[Batch]
    recorder: Recorder | None
    seeds: int = 1

    @property
    def lane(self) -> torch.cuda.Stream | None:
        return self.recorder.stream if self.recorder else None


class Real(Contestant):
    """A run as `benchmarks.run` makes it, in a process that times nothing else, so that its memory is its own."""

    def run(self, seconds: float, per_update: float) -> dict[str, float]:
        """A real run of about so many seconds of training, and how long its parts took.

        per_update: seconds of an update. It evaluates as often as a whole run of the recipe does. What is done once for
        many runs (imports, the tables of MLflow, the real side of the metrics) is done before.
        """
        epochs = min(self.recipe.epochs, max(1, round(seconds / (per_update * self.epoch_updates))))
        shared = {"recipe": self.case.recipe, "precision": self.case.precision, "data_dir": self.case.data_dir}
        asked = DatasetConfig(self.case.dataset, **self.case.options)

        def trained(folder: str, **changes: Any) -> Any:
            config = configure(self.case.variant, asked, **shared, **{**self.case.changes, **changes})
            return train(
                config,
                runs_dir=Path(folder) / "runs",
                data_dir=self.case.data_dir,
                device=self.case.device,
                cuda_graphs=self.case.cuda_graphs,
                tracking_uri=f"sqlite:///{folder}/mlflow.db",
            )

        with tempfile.TemporaryDirectory(prefix="gan-benchmark-") as folder:
            trained(folder, epochs=1, epoch_updates=1)
            began = time.perf_counter()
            run = trained(folder, epochs=epochs, evaluate_every=max(1, self.recipe.epochs // EVALUATIONS))
            whole = time.perf_counter() - began
            timing = [line["timing"] for line in run.folder.lines()]
        return {
            "epochs": epochs,
            "updates": epochs * self.epoch_updates,
            "seconds": whole,
            **{name: sum(line.get(name, 0.0) for line in timing) for name in ("evaluation_seconds", "probe_seconds")},
            "training_seconds": sum(line.get("seconds", 0.0) for line in timing),
            "memory_mib": max(line["memory_mib"] for line in timing),
        }
