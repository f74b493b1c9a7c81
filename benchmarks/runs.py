"""A run as a person uses it: its config, what was measured, its generator, new samples.

run = load_run("runs/cgan_mlp-digits-s0-1a2b3c4d")
images = run.generate(labels=[7, 7, 7])
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from benchmarks.config import RunConfig
from benchmarks.journal import RunFolder
from benchmarks.randomness import initialisation, stream
from variants import DataSpec, Recipe, Refused, load_variant
from variants.noise import NOISES

Generate = Callable[[Tensor | None, int], Tensor]


class Run:
    """A run on disk. found: it was already trained when it was asked for."""

    def __init__(self, folder: RunFolder, found: bool = False) -> None:
        self.folder, self.found = folder, found

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    @property
    def path(self) -> Path:
        return self.folder.path

    @cached_property
    def config(self) -> RunConfig:
        return self.folder.config()

    @cached_property
    def spec(self) -> DataSpec:
        """What the data looked like."""
        kept = self.folder.facts().get("spec")
        if not kept:
            raise Refused(f"{self.path} has no facts.json, so it was never trained; run it first")
        return DataSpec(tuple(kept["shape"]), kept["bounded"], kept["classes"], tuple(kept["vocabulary"]))

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last evaluation; empty where there was none."""
        evaluated = [line["metrics"] for line in self.folder.lines() if line.get("metrics")]
        return evaluated[-1] if evaluated else {}

    @cached_property
    def generator(self) -> nn.Module:
        """The trained generator, on the CPU, in evaluation mode."""
        kept = self.folder.load_tensors("generator.safetensors")
        if kept is None:
            raise Refused(
                f"{self.path} has no generator.safetensors, so it is not finished; the same command goes on with it"
            )
        with initialisation(self.config.seed):
            generator, _ = load_variant(self.config.variant).build(self.spec, self.config.recipe)
        generator.load_state_dict(kept[0])
        return generator.eval()

    def generate(self, labels: Sequence[int] | Tensor | None = None, count: int | None = None, seed: int = 0) -> Tensor:
        """New samples: (count, *shape) float32, in [-1, 1] for images.

        labels: one for each sample, for a conditional variant; left out, they go round the classes. count: how many,
        by default as many as labels, or 64. seed: of the noise; the same one gives the same samples.
        """
        classes = self.spec.classes if self.config.recipe.conditioning != "none" else None
        if labels is not None and classes is None:
            raise Refused(f"{self.config.variant} is unconditional, so it takes no labels")
        if labels is not None and count not in (None, len(labels)):
            raise Refused(
                f"there are {len(labels)} labels for {count} samples; give as many labels, or leave count out"
            )
        count = len(labels) if labels is not None else 64 if count is None else count
        condition = None
        if classes is not None:
            condition = torch.arange(count) % classes if labels is None else torch.as_tensor(labels, dtype=torch.int64)
            if count and not 0 <= condition.min() <= condition.max() < classes:
                raise Refused(f"labels are from 0 to {classes - 1}")
        return sampler(self.generator, self.config.recipe, stream(seed, "samples"))(condition, count)


def load_run(path: Path | str) -> Run:
    """The run in a folder. Raises Refused where there is none."""
    run = Run(RunFolder(path))
    run.config  # noqa: B018  (a folder that holds no run is refused now, not at the first use)
    return run


def sampler(generator: nn.Module, recipe: Recipe, noise: Generator) -> Generate:
    """A function (condition, count) -> samples, of a generator in evaluation mode, with noise from one stream."""

    @torch.no_grad()
    def generate(condition: Tensor | None, count: int) -> Tensor:
        training = generator.training
        generator.eval()
        try:
            condition = None if condition is None else condition.to(noise.device)
            return generator(NOISES[recipe.noise]((count, recipe.noise_size), noise), condition)
        finally:
            generator.train(training)

    return generate
