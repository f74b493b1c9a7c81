"""What a dataset is, once it is in memory: splits of examples, what is known of their modes, and a checksum."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.config import DatasetConfig
from metrics.captions import CaptionRule
from variants.base import DataSpec
from variants.recipe import UserError


@dataclass(frozen=True)
class Classes:
    """The modes are the classes of the labels."""

    count: int


@dataclass(frozen=True, eq=False)
class Centres:
    """The modes are points of the plane, each the centre of a Gaussian.

    points: (modes, 2), float32. sigma: standard deviation along each axis. disc: radius, in units of sigma, of the disc
    round a centre inside which a sample counts for that mode when overlap is measured.
    """

    points: Float[Tensor, "modes 2"]
    sigma: float
    disc: float


@dataclass(frozen=True)
class StackedClasses:
    """The modes are the combinations of one class for each channel, counted by a classifier of single channels."""

    classes: int
    channels: int

    @property
    def count(self) -> int:
        return self.classes**self.channels


@dataclass(frozen=True, eq=False)
class Captions:
    """How the captions of a dataset were made, and which combinations of words training never sees.

    held_out: int64 (combinations, words), as tokens.
    """

    rule: CaptionRule
    held_out: Int64[Tensor, "combinations words"]


@dataclass(frozen=True, eq=False)
class Split:
    """Examples that belong together, held whole in memory.

    data: uint8 images (examples, channels, height, width), or float32 points (examples, 2).
    labels: int64 (examples,), or None.
    """

    data: Tensor
    labels: Int64[Tensor, " examples"] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def has_labels_of(self, other: "Split") -> bool:
        """Whether every label of another split occurs here; always, where there are none."""
        if self.labels is None or other.labels is None:
            return True
        return other.label_set <= self.label_set

    @cached_property
    def label_set(self) -> frozenset[int]:
        """The labels that occur."""
        return frozenset(self.labels.unique().tolist())

    def images(self, indices: Tensor | slice) -> Float[Tensor, "batch *shape"]:
        """The examples a network sees, on the data's device: images in [-1, 1] (mean 0.5, deviation 0.5)."""
        return normalise(take_rows(self.data, indices))

    def condition(self, indices: Tensor | slice) -> Int64[Tensor, "batch *words"] | None:
        """What a conditional network is told of these examples: their labels, or None."""
        return None if self.labels is None else self.labels[indices]

    def tensors(self) -> tuple[Tensor, ...]:
        """All that the examples are made of: what the checksum is taken over."""
        return (self.data,) if self.labels is None else (self.data, self.labels)

    def select(self, indices: Tensor) -> "Split":
        """These examples of it, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, data=self.data[indices], labels=labels)

    def to(self, device: torch.device | str) -> "Split":
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, data=self.data.to(device), labels=labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory.

    train, test: kept apart. reference: what distribution metrics compare samples with, and reference_note says why.
    modes: what is known of the modes of the data, or None. class_names: one name a class, () where unlabelled.
    checksum: SHA-256 over all tensors, in hexadecimal. notes: sentences that a person has to be shown, loudly.
    extractor: name of the classifier that judges the samples; "" where the samples are their own features.
    captions: rule and held-out captions, where the examples have captions. data_dir: the folder that it was loaded
    from, beside which a classifier that is trained at its first use is kept.
    """

    name: str
    spec: DataSpec
    train: Split
    test: Split
    reference: Split
    reference_note: str
    modes: Classes | Centres | StackedClasses | None
    class_names: tuple[str, ...]
    checksum: str
    notes: tuple[str, ...] = ()
    extractor: str = ""
    captions: Captions | None = None
    data_dir: Path = Path("data")

    @cached_property
    def conditions(self) -> Int64[Tensor, "conditions *words"]:
        """Every label or caption that occurs, in training or test, once."""
        return torch.cat([split.condition(slice(None)) for split in (self.train, self.test)]).unique(dim=0)


# Training and test examples of two datasets.
@lru_cache(maxsize=4)
def place_split(split: Split, device: torch.device) -> Split:
    """The split on a device, the same object each time."""
    return split.to(device)


def take_rows(data: Tensor, indices: Tensor | slice) -> Tensor:
    """Rows of a tensor. By index_select where it can be: on uint8 images it takes a tenth of the time of indexing."""
    return data[indices] if isinstance(indices, slice) else data.index_select(0, indices)


def normalise(data: Tensor) -> Float[Tensor, "..."]:
    """uint8 images as float32 in [-1, 1]; what is already float32 stays as it is."""
    return data.float().div_(127.5).sub_(1.0) if data.dtype == torch.uint8 else data


def checksum_of(*splits: Split) -> str:
    """SHA-256, in hexadecimal, over the type, shape and bytes of every tensor of these splits."""
    digest = hashlib.sha256()
    for split in splits:
        for tensor in split.tensors():
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()


REDUCIBLE = ("examples", "dropped_classes")


def reduce_training(dataset: Dataset, config: DatasetConfig) -> Dataset:
    """The dataset with fewer training examples, where its config asks for that; what it is judged by stays whole.

    The examples that stay are evenly spaced over the training split in the order of its classes, so that each class
    keeps its share to within one. Raises UserError where there are not so many examples or classes.
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
    """The random stream that a part of a dataset is drawn from. NumPy's: it promises the same numbers everywhere."""
    digest = hashlib.sha256(f"{seed}/{dataset}/{part}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def takes(*options: str, seed: bool = True) -> Callable[[Callable], Callable]:
    """Marks a dataset's function with the fields of DatasetConfig that it reads; the others are refused.

    seed: whether the data depends on the seed of the run; without that it is loaded once for all of them.
    """

    def mark(function: Callable) -> Callable:
        function.takes, function.takes_seed = frozenset(options), seed
        return function

    return mark
