"""Defines a dataset in memory: its splits, the known modes of its examples, and a checksum."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from benchmarks.config import DatasetConfig
from metrics.captions import CaptionRule
from variants.base import DataSpec
from variants.recipe import UserError

# Examples whose checksum is computed at once.
_CHECKED_AT_ONCE = 1000


@dataclass(frozen=True)
class Classes:
    """Describes modes that are the classes of the labels."""

    count: int


@dataclass(frozen=True, eq=False)
class Centres:
    """Describes modes that are Gaussians in the plane."""

    # The centres, float32.
    points: Float[Tensor, "modes 2"]
    # The standard deviation along each axis.
    sigma: float
    # The radius, in units of sigma, of the disc round a centre whose samples count for the mode in `overlap`.
    disc: float


@dataclass(frozen=True)
class StackedClasses:
    """Describes modes that are combinations of one class a channel, counted by a classifier of single channels."""

    classes: int
    channels: int

    @property
    def count(self) -> int:
        return self.classes**self.channels


@dataclass(frozen=True, eq=False)
class Captions:
    """Describes how the captions of a dataset are made."""

    rule: CaptionRule
    # The captions that are held out of training, as tokens.
    held_out: Int64[Tensor, "combinations words"]


@dataclass(frozen=True, eq=False)
class Split:
    """Holds examples in memory, such as the training split."""

    # uint8 images (examples, channels, height, width), or float32 points (examples, 2).
    data: Tensor
    labels: Int64[Tensor, " examples"] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def has_labels_of(self, other: "Split") -> bool:
        """Tells whether every label of another split occurs here; True without labels."""
        if self.labels is None or other.labels is None:
            return True
        return other.label_set <= self.label_set

    @cached_property
    def label_set(self) -> frozenset[int]:
        """The labels that occur."""
        return frozenset(self.labels.unique().tolist())

    def images(self, indices: Tensor | slice) -> Float[Tensor, "batch *shape"]:
        """Returns examples as a network sees them, on the data's device: images in [-1, 1]."""
        return normalise(take_rows(self.data, indices))

    def condition(self, indices: Tensor | slice) -> Int64[Tensor, "batch *words"] | None:
        """Returns the condition that a conditional network gets: the labels, or None."""
        return None if self.labels is None else self.labels[indices]

    def tensors(self) -> tuple[Tensor, ...]:
        """Returns all tensors of the examples, over which the checksum is computed."""
        return (self.data,) if self.labels is None else (self.data, self.labels)

    def select(self, indices: Tensor) -> "Split":
        """Returns these examples in this order, as a split."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, data=self.data[indices], labels=labels)

    def to(self, device: torch.device | str) -> "Split":
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, data=self.data.to(device), labels=labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Holds a dataset in memory."""

    name: str
    spec: DataSpec
    train: Split
    # Never trained on.
    test: Split
    # The split with which distribution metrics compare samples.
    reference: Split
    # What the reference is, as a part of a sentence.
    reference_note: str
    # None where nothing is known of the modes.
    modes: Classes | Centres | StackedClasses | None
    # One name a class; () without labels.
    class_names: tuple[str, ...]
    # SHA-256 over all tensors, in hexadecimal.
    checksum: str
    # Sentences that the user must see.
    notes: tuple[str, ...] = ()
    # The name of the classifier of the samples; "" if samples are their own features.
    extractor: str = ""
    captions: Captions | None = None
    # The folder of all datasets. A classifier that is trained at its first use is kept there.
    data_dir: Path = Path("data")

    @cached_property
    def conditions(self) -> Int64[Tensor, "conditions *words"]:
        """Every label or caption that occurs in training or test, once."""
        return torch.cat([split.condition(slice(None)) for split in (self.train, self.test)]).unique(dim=0)


# Holds training and test examples of two datasets.
@lru_cache(maxsize=4)
def place_split(split: Split, device: torch.device) -> Split:
    """Copies a split to a device, and returns the same object each time."""
    return split.to(device)


def take_rows(data: Tensor, indices: Tensor | slice) -> Tensor:
    """Selects rows of a tensor. On uint8 images index_select takes a tenth of the time of indexing."""
    return data[indices] if isinstance(indices, slice) else data.index_select(0, indices)


def normalise(data: Tensor) -> Float[Tensor, "..."]:
    """Converts uint8 images to float32 in [-1, 1]; float32 data stays as it is."""
    return data.float().div_(127.5).sub_(1.0) if data.dtype == torch.uint8 else data


def checksum_of(*splits: Split, after_part: Callable[[], None] = lambda: None) -> str:
    """Computes SHA-256, in hexadecimal, over the type, shape and bytes of every tensor of these splits.

    after_part: is called after every _CHECKED_AT_ONCE examples.
    """
    digest = hashlib.sha256()
    for split in splits:
        for tensor in split.tensors():
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            for part in tensor.split(_CHECKED_AT_ONCE):
                digest.update(part.contiguous().numpy())
                after_part()
    return digest.hexdigest()


def quantise(images: Tensor) -> UInt8[Tensor, "..."]:
    """Inverts `normalise`: rounds images to 8 bits; values outside [-1, 1] are clipped, and NaN becomes black."""
    return images.clamp(-1, 1).nan_to_num(-1).add(1).mul(127.5).round().byte()


REDUCIBLE = ("examples", "dropped_classes")


def reduce_training(dataset: Dataset, config: DatasetConfig) -> Dataset:
    """Reduces the training split as the config asks; test and reference stay whole.

    The kept examples are evenly spaced over the training split in the order of its classes, so that each class keeps
    its share to within one. Raises UserError if there are fewer examples or classes.
    """
    if not (config.examples or config.dropped_classes):
        return dataset
    train, classes = dataset.train, dataset.spec.classes
    if config.dropped_classes >= classes:
        raise UserError(f"--dropped-classes is below the {classes} classes of {dataset.name}")
    order = train.labels.argsort(stable=True)
    order = order[train.labels[order] < classes - config.dropped_classes]
    if config.examples > len(order):
        raise UserError(f"--examples {config.examples} is more than the {len(order)} training examples there are")
    if config.examples:
        order = order[torch.arange(config.examples) * len(order) // config.examples]
    kept = order.sort().values
    train = Split(train.data[kept], train.labels[kept])
    return replace(dataset, train=train, checksum=checksum_of(train, dataset.test))


def numpy_stream(seed: int, dataset: str, part: str) -> np.random.Generator:
    """Returns the random stream of a part of a dataset: NumPy's, which gives the same numbers on every machine."""
    digest = hashlib.sha256(f"{seed}/{dataset}/{part}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def takes(*options: str, seed: bool = True) -> Callable[[Callable], Callable]:
    """Marks a dataset's function with the fields of DatasetConfig that it reads; others are refused.

    seed: whether the data depends on the seed of the run; if not, it is loaded once for all seeds.
    """

    def mark(function: Callable) -> Callable:
        function.takes, function.takes_seed = frozenset(options), seed
        return function

    return mark
