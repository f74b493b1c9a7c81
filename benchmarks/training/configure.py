"""Makes the RunConfig of a run from what a user asks for, and checks it.

Later sources override earlier ones: the variant, then its recipe (by name, from a .toml file, or of a run folder), then
single fields.
"""

import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.algorithm.gan import refuse_giants
from benchmarks.algorithm.precision import refuse_reduced
from benchmarks.config import DEFAULT_PROBES, DEFAULT_SAMPLES, PENDING, PRECISIONS, DatasetConfig, RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation import probes
from benchmarks.evaluation.classifiers import classifiers_sha256, is_trained
from benchmarks.evaluation.inception import refuse_inception
from benchmarks.run_folder.folder import RunFolder
from benchmarks.training.cache import load_dataset
from benchmarks.training.inheritance import refuse_no_more_epochs
from variants import DataSpec, Recipe, UserError, Variant, load_variant
from variants.noise import NOISES
from variants.objective import objective
from variants.recipe import unknown

# About ten evaluations a run, if nobody says how often; chosen, not tuned.
EVALUATIONS = 10


def configure(
    variant: str,
    dataset: str | DatasetConfig = "auto",
    *,
    recipe: str = "",
    seed: int = 0,
    evaluate_every: int = 0,
    samples: int = DEFAULT_SAMPLES,
    thorough: bool = True,
    precision: str = PRECISIONS[0],
    probes: Sequence[str] = DEFAULT_PROBES,
    inception: bool = False,
    parent: RunConfig | None = None,
    data_dir: Path | str | None = None,
    **fields: Any,
) -> RunConfig:
    """Makes and checks the config of a run. Raises UserError for a config that cannot be trained.

    recipe: the name of one of the variant's recipes, a .toml file, or a run folder; "" takes the variant's own for such
    data. evaluate_every: epochs between evaluations, 0 for about ten in a run. samples, thorough, precision, probes,
    inception: see RunConfig. parent: of the finished run whose last checkpoint this one goes on from; its epochs count.
    fields: recipe fields to change.

    Trains nothing: if the dataset's classifier does not exist yet, the extractor is PENDING, and `train` or
    `add_classifier` fills it in.
    """
    asked = DatasetConfig(dataset) if isinstance(dataset, str) else dataset
    data = load_dataset(asked, data_dir, seed)
    if data.name != asked.name:
        # Other data than asked for: training, which tells all other notes, cannot know these.
        for note in data.notes:
            warnings.warn(note, stacklevel=2)
    chosen = find_recipe(load_variant(variant), recipe, data.spec).with_(fields)
    config = RunConfig(
        variant=variant,
        recipe=chosen,
        dataset=replace(asked, name=data.name),
        seed=seed,
        checksum=data.checksum,
        extractor=classifiers_sha256(data) if is_trained(data) else PENDING,
        evaluate_every=evaluate_every or max(1, chosen.epochs // EVALUATIONS),
        samples=samples,
        thorough=thorough,
        precision=precision,
        probes=probes,
        inception=inception,
        plugins=plugins.list_used(variant, chosen, data.name, probes),
        parent=parent.identity if parent else "",
    )
    if parent:
        refuse_no_more_epochs(parent, chosen)
    check(config, data)
    return config


def check(config: RunConfig, dataset: Dataset) -> Variant:
    """Returns the variant of a config. Raises UserError for a config that cannot be trained on this dataset."""
    variant, recipe = load_variant(config.variant), config.recipe
    variant.check(recipe, dataset.spec)
    objective(recipe)
    refuse_giants(variant, dataset.spec, recipe)
    refuse_reduced(recipe, config.precision)
    if recipe.noise not in NOISES:
        raise unknown("noise", recipe.noise, NOISES)
    if config.samples < 2:
        raise UserError(f"--samples is at least 2, not {config.samples}; a spread cannot be had from fewer")
    if recipe.batch_size > len(dataset.train):
        raise UserError(
            f"--batch-size {recipe.batch_size} is more than the {len(dataset.train)} examples of {dataset.name}"
        )
    probes.check_probes(config, dataset)
    if config.inception:
        refuse_inception(dataset)
    return variant


def add_classifier(config: RunConfig, data_dir: Path | str | None = None) -> RunConfig:
    """Fills in the SHA-256 of the classifiers that judge, which are trained now if they do not exist yet."""
    if config.extractor != PENDING:
        return config
    dataset = load_dataset(config.dataset, data_dir, config.seed)
    return replace(config, extractor=classifiers_sha256(dataset))


def find_recipe(variant: Variant, given: str, spec: DataSpec) -> Recipe:
    """Returns the recipe of that name, .toml file or run folder. Raises UserError if there is none."""
    if given.endswith(".toml"):
        return read_recipe(variant, Path(given), spec)
    if given and given not in variant.recipes and Path(given).is_dir():
        return RunFolder(given).config().recipe
    return variant.recipe(given or variant.recipe_for(spec))


def read_recipe(variant: Variant, path: Path, spec: DataSpec) -> Recipe:
    """Reads recipe fields from a .toml file; `recipe = "report"` in it names the recipe that they change."""
    try:
        with open(path, "rb") as file:
            fields = tomllib.load(file)
    except OSError as error:
        raise UserError(f"the recipe {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # a whole number of thousands of digits is only a ValueError
        raise UserError(f"the recipe {path} is not TOML: {error}") from None
    name = fields.pop("recipe", "")
    return variant.recipe(str(name) or variant.recipe_for(spec)).with_(fields)
