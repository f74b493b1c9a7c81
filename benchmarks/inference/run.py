"""A run as a person uses it: its config, what was measured, its generator, new samples.

run = load_run("runs/cgan_mlp-digits-s0-1a2b3c4d")
images = run.generate(labels=[7, 7, 7])
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from benchmarks import plugins
from benchmarks.algorithm.gan import refuse_giants
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.sampling import sampler
from benchmarks.config import RunConfig
from benchmarks.inference.prompts import read_prompt
from benchmarks.run_folder.folder import FACTS, GENERATOR, RunFolder
from metrics.captions import WORDS
from variants import DataSpec, UserError, load_variant
from variants.recipe import shown

# Of an image, in pixels; also the most channels and classes.
LARGEST_SIDE = 4096


class Run:
    """A run on disk.

    found: it was already trained when it was asked for. fetched: its folder is a copy from MLflow that goes with it.
    """

    def __init__(self, folder: RunFolder, found: bool = False, fetched: bool = False) -> None:
        self.folder, self.found, self.fetched = folder, found, fetched

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
        """What the data looked like. Raises UserError for a run that was never trained, and for a damaged file."""
        kept = self.folder.facts().get("spec")
        if not kept:
            raise UserError(f"{self.path} has no facts.json, so it was never trained; run it first")
        if (spec := spec_of(kept)) is None:
            raise UserError(f"{self.path / FACTS} is damaged: no data look as its spec says")
        return spec

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last evaluation; empty where there was none."""
        evaluated = [line["metrics"] for line in self.folder.lines() if line.get("metrics")]
        return evaluated[-1] if evaluated else {}

    @cached_property
    def generator(self) -> nn.Module:
        """The trained generator, on the CPU, in evaluation mode. Raises UserError where its plugin is not loaded."""
        plugins.require(self.config, str(self.path))
        kept = self.folder.load_tensors("generator.safetensors")
        if kept is None:
            raise UserError(
                f"{self.path} has no generator.safetensors, so it is not finished; the same command goes on with it"
            )
        variant, spec, recipe = load_variant(self.config.variant), self.spec, self.config.recipe
        variant.check(recipe, spec)
        refuse_giants(variant, spec, recipe)
        with initialisation(self.config.seed):
            generator, _ = variant.build(spec, recipe)
        try:
            generator.load_state_dict(kept[0])
        except RuntimeError as error:
            what = str(error).partition("\n")[0]
            raise UserError(f"{self.path / GENERATOR} does not fit the config of its run: {what}") from None
        return generator.eval()

    def generate(
        self,
        labels: Sequence[int] | Tensor | None = None,
        count: int | None = None,
        seed: int = 0,
        prompt: str | None = None,
    ) -> Tensor:
        """New samples: (count, *shape) float32, in [-1, 1] for images.

        labels: one for each sample, for a variant that takes labels; left out, they go round the classes. prompt: a
        sentence, for a variant that takes captions; what it leaves open goes round the words. count: how many, by
        default as many as labels, or 64. seed: of the noise; the same one gives the same samples. Raises UserError for
        what the variant does not take, and for a number that is not whole or not in its range.
        """
        seed = whole("seed", seed, 0)
        count = None if count is None else whole("count", count, 1)
        chosen = None if labels is None else self.labels(labels)
        if chosen is not None and count not in (None, len(chosen)):
            raise UserError(
                f"there are {len(chosen)} labels for {count} samples; give as many labels, or leave count out"
            )
        count = len(chosen) if chosen is not None else 64 if count is None else count
        condition = self.condition(count, chosen, prompt)
        return sampler(self.generator, self.config.recipe, stream(seed, "samples"))(condition, count)

    def condition(
        self, count: int, labels: Sequence[int] | Tensor | None = None, prompt: str | None = None
    ) -> Tensor | None:
        """What its generator is told for so many samples: labels, tokens of captions, or None. See `generate`."""
        kind = self.config.recipe.conditioning
        chosen = None if labels is None else self.labels(labels)
        if prompt is not None and kind != "text":
            raise self._not_taken("prompt")
        if kind == "none":
            return None
        if kind == "text":
            if not isinstance(prompt, str | None):
                raise UserError(f"a prompt is a sentence, not {shown(prompt)}")
            if self.spec.vocabulary != WORDS:
                raise UserError(f"{self.path} was trained on captions of other words, in which no prompt can be read")
            captions = read_prompt(prompt or "")
            return captions[torch.arange(count) % len(captions)]
        return torch.arange(count) % self.spec.classes if chosen is None else chosen

    def labels(self, given: Sequence[int] | Tensor) -> Int64[Tensor, "labels"]:
        """These labels as its generator reads them. Raises UserError where it takes none, and for what is no label."""
        if self.config.recipe.conditioning in ("none", "text"):
            raise self._not_taken("labels")
        # A tensor and an array become plain numbers, so that one rule holds for all.
        values = given.tolist() if hasattr(given, "tolist") else given
        if not isinstance(values, Sequence) or isinstance(values, str | bytes) or not len(values):
            raise UserError(f"labels are a list of whole numbers, at least one, not {shown(given)}")
        last = self.spec.classes - 1
        values = [_plain(value) for value in values]
        for value in values:
            if type(value) is not int or not 0 <= value <= last:
                raise UserError(f"labels are whole numbers from 0 to {last}, not {shown(value)}")
        return torch.tensor(values)

    def _not_taken(self, what: str) -> UserError:
        kind, name = self.config.recipe.conditioning, self.config.variant
        takes = {"none": "is unconditional and takes", "text": "takes a prompt and"}.get(kind, "takes labels and")
        return UserError(f"{name} {takes} no {what}")


def whole(name: str, value: Any, least: int) -> int:
    """A whole number as Python's own. Raises UserError for anything else, and for one below the least."""
    number = _plain(value)
    if type(number) is not int or number < least:
        raise UserError(f"{name} is a whole number of at least {least}, not {shown(value)}")
    return number


def _plain(value: Any) -> Any:
    """What a tensor or an array holds where it holds one number and has no dimensions; else the value itself."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def spec_of(kept: Any) -> DataSpec | None:
    """The DataSpec that facts.json tells of; None where it is not that of any data. The file may be a stranger's."""

    def whole(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_SIDE

    kept = kept if isinstance(kept, dict) else {}
    shape, bounded, classes, words = (kept.get(name) for name in ("shape", "bounded", "classes", "vocabulary"))
    right = (
        isinstance(shape, list)
        and (shape == [2] or len(shape) == 3)
        and all(map(whole, shape))
        and isinstance(bounded, bool)
        and (classes is None or whole(classes))
        and isinstance(words, list)
        and all(isinstance(word, str) for word in words)
    )
    return DataSpec(tuple(shape), bounded, classes, tuple(words)) if right else None
