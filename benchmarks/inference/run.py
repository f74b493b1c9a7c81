"""Holds a run on disk as its user sees it: its config, metrics, generator, and new samples.

run = load_run("runs/cgan_mlp-digits-s0-1a2b3c4d")
images = run.generate(labels=[7, 7, 7])
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from benchmarks import plugins
from benchmarks.algorithm.gan import refuse_giants
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.sampling import Generate, sampler, truncate
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset, load
from benchmarks.inference.prompts import read_prompt
from benchmarks.run_folder.folder import FACTS, GENERATOR, HERE, RunFolder
from metrics.captions import WORDS
from variants import DataSpec, UserError, load_variant
from variants.recipe import shown

# Samples that are generated at once where there may be many. A multiple of 16, in which torch draws normal numbers, so
# that the noise is the same however many are drawn.
_AT_ONCE = 1024
# The largest image side in pixels, and the most channels and classes, that a facts.json may claim.
_LARGEST = 4096


class Run:
    """Holds a run on disk."""

    def __init__(self, folder: RunFolder, found: bool = False, fetched: bool = False) -> None:
        self.folder = folder
        # Whether it was trained already when it was asked for.
        self.found = found
        # Whether its folder is a temporary copy from MLflow.
        self.fetched = fetched

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
        """Returns the form of the data. Raises UserError for a run that was never trained, and for a damaged file."""
        kept = self.folder.facts().get("spec")
        if not kept:
            raise UserError(f"{self.path} has no facts.json, so it was never trained; run it first")
        if (spec := read_spec(kept)) is None:
            raise UserError(f"{self.path / FACTS} is damaged: no data has this form")
        return spec

    @property
    def class_names(self) -> list[str]:
        """Returns the names of the classes; none without labels."""
        names = self.folder.facts().get("class_names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def load_dataset(self, data_dir: Path | None = None) -> Dataset:
        """Loads the data of the run. Raises UserError where it cannot be had, or is not what it was.

        data_dir: by default where the data was when the run was trained here.
        """
        here = self.folder.read_object(HERE).get("data_dir")
        dataset = load(self.config.dataset, data_dir or (here if isinstance(here, str) else None), self.config.seed)
        if dataset.checksum != self.config.checksum:
            raise UserError(f"the data of {dataset.name} is not what {self.folder.name} was trained on")
        return dataset

    @property
    def metrics(self) -> dict[str, float]:
        """Returns the metrics of the last evaluation; none if there was none."""
        evaluated = [line["metrics"] for line in self.folder.lines() if line.get("metrics")]
        return evaluated[-1] if evaluated else {}

    @cached_property
    def generator(self) -> nn.Module:
        """Returns the trained generator, on the CPU, in evaluation mode. Raises UserError if a plugin is missing."""
        plugins.require(self.config, str(self.path))
        kept = self.folder.load_tensors(GENERATOR)
        if kept is None:
            raise UserError(f"{self.path} has no {GENERATOR}, so it is not finished; the same command resumes it")
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
        truncation: float | None = None,
    ) -> Tensor:
        """Returns new samples: (count, *shape) float32, in [-1, 1] for images.

        labels: one for each sample, for a variant that takes labels; by default the classes in turn. count: how many,
        by default as many as labels, or 64. seed: of the noise; the same seed gives the same samples. prompt: a
        sentence, for a variant that takes captions; the words that it leaves open come in turn. truncation: the size
        beyond which a value of Gaussian noise is drawn again, see algorithm.sampling.truncate. Raises UserError for
        what the variant does not take, and for a number that is not whole or not in its range.
        """
        seed = _check_whole("seed", seed, 0)
        count = None if count is None else _check_whole("count", count, 1)
        chosen = None if labels is None else self.labels(labels)
        if chosen is not None and count not in (None, len(chosen)):
            raise UserError(
                f"there are {len(chosen)} labels for {count} samples; give as many labels, or leave count out"
            )
        count = len(chosen) if chosen is not None else 64 if count is None else count
        condition = self.condition(count, chosen, prompt)
        return self._sampler(seed, truncation)(condition, count)

    def iterate(
        self,
        count: int,
        label: int | None = None,
        prompt: str | None = None,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yields the samples of `generate` in parts, each with its condition, so that any number needs little memory.

        They agree to rounding, which depends on how many are generated at once; but how much is drawn for truncated
        noise is left to chance, so that it is that of `generate` in the first part alone. label: of all samples.
        """
        seed, count = _check_whole("seed", seed, 0), _check_whole("count", count, 1)
        generate = self._sampler(seed, truncation)
        for first in range(0, count, _AT_ONCE):
            part = min(_AT_ONCE, count - first)
            condition = self.condition(part, None if label is None else [label] * part, prompt, first)
            yield generate(condition, part), condition

    def _sampler(self, seed: int, truncation: float | None) -> Generate:
        recipe = self.config.recipe
        if truncation is None:
            return sampler(self.generator, recipe, stream(seed, "samples"))
        if recipe.noise != "gaussian":
            raise UserError(
                f"truncation draws Gaussian noise again where it is far from 0, and {self.folder.name} was trained "
                f"with {recipe.noise} noise; leave it out"
            )
        if not (isinstance(truncation, float | int) and 0 < truncation < math.inf):
            raise UserError(f"truncation is a number above 0, not {shown(truncation)}")
        return sampler(self.generator, recipe, stream(seed, "samples"), truncate(truncation))

    def condition(
        self,
        count: int,
        labels: Sequence[int] | Tensor | None = None,
        prompt: str | None = None,
        first: int = 0,
    ) -> Tensor | None:
        """Returns the condition of so many samples: labels, tokens of captions, or None. See `generate`.

        first: the place of the first of them among all, for what comes in turn.
        """
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
                raise UserError(f"{self.path} was trained on captions of other words, which no prompt can name")
            captions = read_prompt(prompt or "")
            return captions[torch.arange(first, first + count) % len(captions)]
        return torch.arange(first, first + count) % self.spec.classes if chosen is None else chosen

    def labels(self, given: Sequence[int] | Tensor) -> Int64[Tensor, "labels"]:
        """Returns labels as the generator reads them. Raises UserError if it takes none, and for other values."""
        if self.config.recipe.conditioning in ("none", "text"):
            raise self._not_taken("labels")
        # A tensor and an array become plain numbers, so that one rule holds for all.
        values = given.tolist() if hasattr(given, "tolist") else given
        if not isinstance(values, Sequence) or isinstance(values, str | bytes) or not len(values):
            raise UserError(f"labels are a list of whole numbers, at least one, not {shown(given)}")
        last = self.spec.classes - 1
        values = [_unwrap(value) for value in values]
        for value in values:
            if type(value) is not int or not 0 <= value <= last:
                raise UserError(f"labels are whole numbers from 0 to {last}, not {shown(value)}")
        return torch.tensor(values)

    def _not_taken(self, what: str) -> UserError:
        kind, name = self.config.recipe.conditioning, self.config.variant
        takes = {"none": "is unconditional and takes", "text": "takes a prompt and"}.get(kind, "takes labels and")
        return UserError(f"{name} {takes} no {what}")


def _check_whole(name: str, value: Any, least: int) -> int:
    """Returns a whole number as a Python int. Raises UserError for anything else, and for one below the least."""
    number = _unwrap(value)
    if type(number) is not int or number < least:
        raise UserError(f"{name} is a whole number of at least {least}, not {shown(value)}")
    return number


def _unwrap(value: Any) -> Any:
    """Returns the number in a tensor or array without dimensions; any other value as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def read_spec(kept: Any) -> DataSpec | None:
    """Returns the DataSpec that facts.json holds; None if no data can have it. The file may be a stranger's."""

    def is_size(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST

    kept = kept if isinstance(kept, dict) else {}
    shape, bounded, classes, words = (kept.get(name) for name in ("shape", "bounded", "classes", "vocabulary"))
    right = (
        isinstance(shape, list)
        and (shape == [2] or len(shape) == 3)
        and all(map(is_size, shape))
        and isinstance(bounded, bool)
        and (classes is None or is_size(classes))
        and isinstance(words, list)
        and all(isinstance(word, str) for word in words)
    )
    return DataSpec(tuple(shape), bounded, classes, tuple(words)) if right else None
