"""The contract of a probe: what it is given, and what is known of it."""

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
    """A run at one of its evaluations, as one probe finds it.

    players: copies, with which the probe may do as it likes. metrics: what was measured in this evaluation. folder:
    where it may leave files, under probes/.
    """

    config: RunConfig
    dataset: Dataset
    gan: GAN
    objective: Objective
    evaluator: Evaluator
    folder: RunFolder
    epoch: int
    metrics: Mapping[str, float]

    @property
    def recipe(self) -> Recipe:
        return self.config.recipe


@dataclass(frozen=True)
class Probe:
    """Something measured while a run trains, that changes nothing of it.

    measure: (moment, its own stream on the device of the networks) -> figures by name; the first line of its docstring
    is what --list shows. refuses: (recipe, dataset) -> "" where it can be measured, else why it cannot, as the end of a
    sentence. final: only at the last evaluation. discriminator_only: it touches no more of the players than that, so
    that the rest is not copied, which takes longer than such a probe.
    """

    name: str
    measure: Callable[[Moment, Generator], dict[str, float]]
    refuses: Callable[[Recipe, Dataset], str] = lambda recipe, dataset: ""
    final: bool = False
    discriminator_only: bool = False

    @property
    def summary(self) -> str:
        return (self.measure.__doc__ or "").strip().partition("\n")[0]
