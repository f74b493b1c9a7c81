"""benchmarks.training.configure: TODO."""

from dataclasses import replace
from pathlib import Path

from benchmarks import probes
from benchmarks.algorithm.players import refuse_giants
from benchmarks.algorithm.precision import refuse_reduced
from benchmarks.config import PENDING, RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation import judge
from benchmarks.training.shared import loaded
from variants import Refused, Variant, load_variant
from variants.noise import NOISES
from variants.objective import objective
from variants.recipe import unknown


def check(config: RunConfig, dataset: Dataset) -> Variant:
    """The variant of a config that can be trained on this dataset. Raises Refused for one that cannot."""
    variant, recipe = load_variant(config.variant), config.recipe
    variant.check(recipe, dataset.spec)
    objective(recipe)
    refuse_giants(variant, dataset.spec, recipe)
    refuse_reduced(recipe, config.precision)
    if recipe.noise not in NOISES:
        raise unknown("noise", recipe.noise, NOISES)
    if config.samples < 2:
        raise Refused(f"--samples is at least 2, not {config.samples}; a spread cannot be had from fewer")
    if recipe.batch_size > len(dataset.train):
        raise Refused(
            f"--batch-size {recipe.batch_size} is more than the {len(dataset.train)} examples of {dataset.name}"
        )
    probes.check(config, dataset)
    return variant


def completed(config: RunConfig, data_dir: Path | str | None = None) -> RunConfig:
    """The config with its judge: the classifier is trained now where there is none, once all else is checked.

    Raises Refused where the config cannot be trained.
    """
    if config.extractor != PENDING:
        return config
    dataset = loaded(config.dataset, data_dir, config.seed)
    check(config, dataset)
    return judged(config, dataset)


def judged(config: RunConfig, dataset: Dataset) -> RunConfig:
    """The same of a config that is checked."""
    return replace(config, extractor=judge(dataset)) if config.extractor == PENDING else config
