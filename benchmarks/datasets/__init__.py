"""Loads datasets into memory, each split as one tensor, ready to be cut into batches.

base.py      defines Split, Dataset and the kinds of modes (Classes, Centres, StackedClasses)
images.py    loads images that need no choice: auto, digits
published.py loads published images through torchvision: mnist, cifar10, celeba and nine others
folder.py    loads a user's own images: folder:PATH
mixtures.py  draws points of the plane round known centres: ring8, grid25, arc
stacked.py   stacks three digits as colour channels, 1,000 modes: stacked_mnist, stacked_digits
captions.py  adds words that are true of digits: captions_mnist, captions_digits
download.py  guards downloads, which arrive whole or not at all
decoding.py  reads image files of any size as arrays of one size
prepared.py  keeps prepared images in a file, so that the next start is fast

A dataset is a function `(config, data_dir, seed) -> Dataset`, marked by `takes` with the options that it reads. --list
shows the first line of its docstring.
"""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

from benchmarks.config import FOLDER, DatasetConfig
from benchmarks.datasets.base import (
    Captions,
    Centres,
    Classes,
    Dataset,
    Split,
    StackedClasses,
    checksum_of,
    normalise,
    place_split,
    quantise,
    reduce_training,
    takes,
)
from variants.recipe import UserError, unknown

__all__ = [
    "DATASETS",
    "Captions",
    "Centres",
    "Classes",
    "Dataset",
    "Split",
    "StackedClasses",
    "checksum_of",
    "data_folder",
    "depends_on_seed",
    "describe_dataset",
    "load",
    "normalise",
    "place_split",
    "quantise",
    "takes",
]

DATASETS: dict[str, str | Callable[[DatasetConfig, Path, int], Dataset]] = {
    "auto": "benchmarks.datasets.images:auto",
    "digits": "benchmarks.datasets.images:digits",
    "mnist": "benchmarks.datasets.published:mnist",
    "fashion_mnist": "benchmarks.datasets.published:fashion_mnist",
    "kmnist": "benchmarks.datasets.published:kmnist",
    "emnist": "benchmarks.datasets.published:emnist",
    "qmnist": "benchmarks.datasets.published:qmnist",
    "usps": "benchmarks.datasets.published:usps",
    "svhn": "benchmarks.datasets.published:svhn",
    "cifar10": "benchmarks.datasets.published:cifar10",
    "cifar100": "benchmarks.datasets.published:cifar100",
    "stl10": "benchmarks.datasets.published:stl10",
    "celeba": "benchmarks.datasets.published:celeba",
    "omniglot": "benchmarks.datasets.published:omniglot",
    "folder": "benchmarks.datasets.folder:folder",
    "ring8": "benchmarks.datasets.mixtures:ring8",
    "grid25": "benchmarks.datasets.mixtures:grid25",
    "arc": "benchmarks.datasets.mixtures:arc",
    "stacked_mnist": "benchmarks.datasets.stacked:stacked_mnist",
    "stacked_digits": "benchmarks.datasets.stacked:stacked_digits",
    "captions_mnist": "benchmarks.datasets.captions:captions_mnist",
    "captions_digits": "benchmarks.datasets.captions:captions_digits",
}


def data_folder(data_dir: Path | str | None = None) -> Path:
    """Returns the folder of all datasets: the argument, else the variable GANBENCH_DATA, else data/."""
    return Path(data_dir or os.environ.get("GANBENCH_DATA") or "data").expanduser()


def describe_dataset(name: str) -> str:
    """Describes a dataset in one line."""
    return (_function(name).__doc__ or "").strip().partition("\n")[0]


def depends_on_seed(config: DatasetConfig) -> bool:
    """Tells whether a config's dataset differs from seed to seed. Unknown datasets count as different."""
    name = _name(config)
    return name not in DATASETS or getattr(_function(name), "takes_seed", True)


def load(config: DatasetConfig, data_dir: Path | str | None = None, seed: int = 0) -> Dataset:
    """Loads the dataset of a config into memory.

    data_dir: see data_folder. seed: of the run; only datasets that are drawn at random depend on it. Raises UserError
    for an unknown name or option, and for data that is missing, damaged or cannot be downloaded.
    """
    name = _name(config)
    if name not in DATASETS:
        raise unknown("dataset", config.name, DATASETS)
    function = _function(name)
    read = getattr(function, "takes", frozenset())
    for field in fields(config):
        if field.metadata and field.name not in read and getattr(config, field.name) != field.default:
            raise UserError(f"--{field.name.replace('_', '-')} does not apply to the dataset {name}")
    folder = data_folder(data_dir)
    return reduce_training(replace(function(config, folder, seed), data_dir=folder), config)


def _name(config: DatasetConfig) -> str:
    return "folder" if config.name.startswith(FOLDER) else config.name


def _function(name: str) -> Callable[[DatasetConfig, Path, int], Dataset]:
    entry = DATASETS[name]
    if callable(entry):
        return entry
    module, _, attribute = entry.partition(":")
    return getattr(import_module(module), attribute)
