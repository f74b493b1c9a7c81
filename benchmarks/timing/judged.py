"""Implements what is trained to a quality: this project's loop, the loops of tutorials.

A runner trains one seed after another in a process of its own, and counts seconds as it goes: those of training alone,
and those of judging. An update is a generator update with its discriminator updates. All runners are judged by the
evaluator that judges the runs of the project, on samples for the same labels, from the same noise at the same update.
"""

import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from benchmarks.algorithm.cuda_graphs import make_updates
from benchmarks.algorithm.device import keep_memory, resolve_device
from benchmarks.algorithm.epoch import mean_values, train_updates
from benchmarks.algorithm.gan import GAN, build_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.sampling import Generate, sampler
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.evaluation.classifiers import combine_sha256
from benchmarks.evaluation.evaluator import NOT_FINITE, Evaluator
from benchmarks.evaluation.matching import match_labels
from benchmarks.suites.comparison import find_criterion
from benchmarks.timing.cases import Case
from benchmarks.timing.machine import describe_software
from benchmarks.timing.tutorials import TUTORIALS
from benchmarks.training.cache import get_evaluator, load_dataset
from benchmarks.training.configure import configure
from benchmarks.training.loop import select_generator
from benchmarks.training.provenance import fingerprint
from variants import UserError, load_variant
from variants.objective import objective


def name_in_journal(metric: str, dataset: Dataset) -> str:
    """Returns what a metric of a target is called where it is measured; fid is what `benchmarks.compare` decides by."""
    if metric != "fid":
        return metric
    return find_criterion("fid", None, dataset).outcome.figures[0].removeprefix("metrics/")


class Runner(ABC):
    """Trains and judges; a subclass says what, by `_begin`, `_generate` and `_facts`.

    Attributes: dataset: of the seed that is trained. conditional: whether the generator is given labels. updates: those
    done.
    """

    conditional: bool

    def __init__(self, case: Case) -> None:
        self.case, self.device = case, resolve_device(case.device)
        self.dataset = self._load(0)
        # Of the last dataset whose real side the evaluator has computed.
        self._ready = ""
        self.updates = 0
        self._seconds = {"training": [0.0, 0.0], "judging": [0.0, 0.0]}

    def prepare(self, metrics: Sequence[str], samples: int) -> dict[str, Any]:
        """Makes everything ready that all seeds share, and returns what is known of the runs.

        A run that is thrown away warms up both parts. Raises UserError for a metric that cannot be measured of it.
        """
        self.samples = samples
        self.names = {metric: name_in_journal(metric, self.dataset) for metric in metrics}
        self._refuse_unmeasurable(self._evaluator())
        self.start(0)
        self.advance(2, math.inf)
        self.judge()
        judge = {"classifiers": combine_sha256(self._evaluator().classifiers), "data": self.dataset.checksum}
        return self._facts() | {
            "dataset": self.dataset.name,
            "conditional": self.conditional,
            "measured": self.names,
            "judge": judge,
            "notes": list(self.dataset.notes),
            "software": describe_software(self.device.type),
            "code": fingerprint(timing="benchmarks/timing"),
        }

    def start(self, seed: int) -> None:
        """Begins a run. The clock begins before the networks are built; the data and the evaluator are there."""
        self.seed, self.dataset = seed, self._load(seed)
        if self._ready != self.dataset.checksum:
            self._compute_real_side()
        self.updates = 0
        self._seconds = {"training": [0.0, 0.0], "judging": [0.0, 0.0]}
        with self._clock("training"):
            self._steps = self._begin(seed)

    def advance(self, updates: int, seconds: float) -> dict[str, float]:
        """Trains until so many updates are done in all, or so many seconds of training have passed; returns `state`."""
        training = self._seconds["training"]
        while self.updates < updates and training[0] < seconds:
            with self._clock("training"):
                if next(self._steps, False) is False:
                    break
            self.updates += 1
        return self.state()

    def judge(self) -> dict[str, Any]:
        """Measures the metrics of the target. Returns `state`, the values, and why samples cannot be judged or ""."""
        evaluator = self._evaluator()
        with self._clock("judging"):
            values = evaluator.evaluate(
                self._generate(),
                final=True,
                conditional=self.conditional,
                only=self._measured,
            )
        broken = f"{values[NOT_FINITE]:,.0f} of {self.samples:,} samples are not finite" if NOT_FINITE in values else ""
        found = {metric: values[name] for metric, name in self.names.items() if name in values}
        return {**self.state(), "values": found, "broken": broken}

    def state(self) -> dict[str, float]:
        """Returns the updates that are done, and the seconds that they took: training alone, and with judging."""
        (wall, cpu), (judging, judging_cpu) = self._seconds["training"], self._seconds["judging"]
        return {
            "updates": self.updates,
            "training_seconds": wall,
            "training_cpu_seconds": cpu,
            "total_seconds": wall + judging,
            "total_cpu_seconds": cpu + judging_cpu,
        }

    @abstractmethod
    def _begin(self, seed: int) -> Iterator[Any]:
        """Builds the networks, and returns an iterator whose every step is an update."""

    @abstractmethod
    def _generate(self) -> Generate:
        """Returns what draws samples from the generator as it is."""

    @abstractmethod
    def _facts(self) -> dict[str, Any]:
        """Returns what is known of the training."""

    @property
    def _measured(self) -> set[str]:
        """The metrics of the target, or their families, as the evaluator names them."""
        return {find_metric(name).name for name in self.names.values()}

    def _noise(self) -> torch.Generator:
        """Returns the noise of an evaluation, which depends on the seed and the number of updates alone."""
        return stream(self.seed, "evaluation", self.updates, self.device)

    def _load(self, seed: int) -> Dataset:
        return load_dataset(DatasetConfig(self.case.dataset), self.case.data_dir, seed)

    def _evaluator(self) -> Evaluator:
        return get_evaluator(self.dataset, self.samples, self.device, torch.get_num_threads())

    def _compute_real_side(self) -> None:
        """Judges training examples, so that no later evaluation has to compute the real side."""
        evaluator, data = self._evaluator(), self.dataset
        examples = data.train.images(match_labels(data.train, data.reference, self.samples))
        evaluator.measure(self._measured, evaluator.compare(examples, conditional=self.conditional))
        self._ready = data.checksum

    def _refuse_unmeasurable(self, evaluator: Evaluator) -> None:
        conditions = {"condition"} if self.conditional and "labels" in evaluator.facts else set()
        for metric, name in self.names.items():
            if lacking := find_metric(name).needs - evaluator.facts - conditions:
                raise UserError(
                    f"{metric} cannot be measured of {self.case.name}: it needs {', '.join(sorted(lacking))}"
                )

    @contextmanager
    def _clock(self, part: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            counted = self._seconds[part]
            counted[0] += time.perf_counter() - wall
            counted[1] += time.process_time() - cpu


class Ours(Runner):
    """Trains a variant as `benchmarks.run` does, with batches, noise, and the curves at the end of an epoch.

    A run goes on beyond the epochs of its recipe, unless the recipe lets something fall to 0 until then.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        keep_memory()
        # Named as it was found, because "auto" warns.
        dataset = replace(DatasetConfig(case.dataset), name=self.dataset.name)
        config = configure(case.variant, dataset, recipe=case.recipe, data_dir=case.data_dir, **case.changes)
        self.variant, self.recipe = load_variant(case.variant), config.recipe
        self.objective = objective(self.recipe)
        self.conditional = self.recipe.conditioning != "none"

    def _begin(self, seed: int) -> Iterator[Any]:
        self.gan = build_gan(self.variant, self.dataset.spec, self.recipe, seed, self.device, self.case.precision)
        return self._train(self.gan, seed)

    def _train(self, gan: GAN, seed: int) -> Iterator[Any]:
        recipe, data = self.recipe, self.dataset.train
        steps = make_updates(gan, self.objective, recipe)
        count = recipe.epoch_updates or len(data) // recipe.batch_size
        falls = recipe.lr_decay != "none" or recipe.instance_noise
        for epoch in range(1, recipe.epochs + 1) if falls else itertools.count(1):
            measured = []
            for measurements in train_updates(steps, data, seed, epoch, count):
                measured.append(measurements)
                yield measurements
            mean_values(measured)

    def _generate(self) -> Generate:
        return sampler(select_generator(self.gan), self.recipe, self._noise())

    def _facts(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "recipe": self.variant.nearest(recipe)[0],
            "batch_size": recipe.batch_size,
            "critic_steps": recipe.critic_steps,
            "parameters": _count_parameters(generator=self.gan.generator, discriminator=self.gan.discriminator),
        }


class Tutorial(Runner):
    """Trains a tutorial, named by the variant of the case, from torch's global random state of the seed."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.tutorial = TUTORIALS[case.variant]
        self.tutorial.check(self.dataset)
        self.conditional = self.tutorial.conditional

    def _begin(self, seed: int) -> Iterator[Any]:
        tutorial = self.tutorial
        torch.manual_seed(seed)
        self.generator, self.discriminator = tutorial.build(self.dataset.spec)
        optimizers = tutorial.optimizers(self.generator, self.discriminator)
        return tutorial.train(self.generator, self.discriminator, *optimizers, tutorial.make_loader(self.dataset))

    def _generate(self) -> Generate:
        return self.tutorial.sampler(self.generator, self.dataset.spec, self._noise())

    def _facts(self) -> dict[str, Any]:
        return {
            "recipe": self.tutorial.source,
            "batch_size": self.tutorial.batch_size,
            "critic_steps": self.tutorial.critic_steps,
            "parameters": _count_parameters(generator=self.generator, discriminator=self.discriminator),
        }


def _count_parameters(**networks: torch.nn.Module) -> dict[str, int]:
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
