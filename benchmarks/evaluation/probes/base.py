"""Defines the contract of a probe: the moment of a run that it measures, and its record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Generator

from benchmarks.algorithm.gan import GAN
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.run_folder.folder import RunFolder
from variants import Recipe
from variants.objective import Objective


@dataclass(frozen=True)
class Moment:
    """Holds the state of a run at one of its evaluations, for one probe."""

    config: RunConfig
    dataset: Dataset
    # A copy, which the probe may change.
    gan: GAN
    objective: Objective
    evaluator: Evaluator
    # Where the probe may write files, under probes/.
    folder: RunFolder
    epoch: int
    # The metrics of this evaluation.
    metrics: Mapping[str, float]

    @property
    def recipe(self) -> Recipe:
        return self.config.recipe


@dataclass(frozen=True)
class Probe:
    """Describes a measurement that is made while a run trains, and changes nothing in the run."""

    name: str
    # (moment, a stream of its own on the device of the networks) -> values by name. --list shows the docstring's first
    # line.
    measure: Callable[[Moment, Generator], dict[str, float]]
    # (recipe, dataset) -> "" where it can be measured, else the reason, as the end of a sentence.
    refuses: Callable[[Recipe, Dataset], str] = lambda recipe, dataset: ""
    # Whether it is measured at the last evaluation only.
    final: bool = False
    # Whether it uses the discriminator alone: then nothing else is copied, which takes longer than such a probe.
    discriminator_only: bool = False

    @property
    def summary(self) -> str:
        return (self.measure.__doc__ or "").strip().partition("\n")[0]
