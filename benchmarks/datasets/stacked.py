"""Stacks three grey digits as the colour channels of one image: 1,000 modes that a classifier of digits can count.

Srivastava et al. 2017 (VEEGAN), Lin et al. 2018 (PacGAN). Memory holds which three images make a stack; the stacks
themselves, 300 MB for MNIST, are made batch by batch.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import (
    Dataset,
    Split,
    StackedClasses,
    checksum_of,
    normalise,
    numpy_stream,
    take_rows,
    takes,
)
from benchmarks.datasets.images import digits
from benchmarks.datasets.published import mnist
from variants.base import DataSpec

CHANNELS = 3
TRAIN_STACKS = 128_000  # Lin et al. 2018
TEST_STACKS = 26_000  # as many as samples in their evaluation


@dataclass(frozen=True, eq=False)
class StackedSplit(Split):
    """Holds stacks as indices: `data` is int64 (examples, 3), for each channel an index into `source`."""

    # The grey images.
    source: UInt8[Tensor, "images 1 height width"] | None = None
    # The digit of each grey image.
    digits: Int64[Tensor, " images"] | None = None

    def images(self, indices: Tensor | slice) -> Float[Tensor, "batch 3 height width"]:
        triples = take_rows(self.data, indices)
        return normalise(take_rows(self.source, triples.flatten()).reshape(*triples.shape, *self.source.shape[2:]))

    def modes(self, indices: Tensor | slice) -> Int64[Tensor, " batch"]:
        """Returns the true mode of each stack, 0 to 999: its digits read as one number, red first."""
        return self.digits[self.data[indices]] @ torch.tensor([100, 10, 1], device=self.digits.device)

    def tensors(self) -> tuple[Tensor, ...]:
        return (self.data, self.source, self.digits)

    def to(self, device: torch.device | str) -> "StackedSplit":
        return replace(super().to(device), source=self.source.to(device), digits=self.digits.to(device))


@takes()
def stacked_mnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """128,000 stacks of three MNIST digits as colour channels, 28x28: 1,000 modes; drawn by the seed, no labels"""
    return _stacked(mnist(DatasetConfig("mnist"), data_dir, seed), seed)


@takes()
def stacked_digits(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """128,000 stacks of three 8x8 digits as colour channels: 1,000 modes; drawn by the seed, no labels"""
    return _stacked(digits(DatasetConfig("digits"), data_dir, seed), seed)


def _stacked(plain: Dataset, seed: int) -> Dataset:
    name = f"stacked_{plain.name}"

    def stacks(split: Split, part: str, count: int) -> StackedSplit:
        triples = numpy_stream(seed, name, part).integers(len(split), size=(count, CHANNELS), dtype=np.int64)
        return StackedSplit(torch.from_numpy(triples), None, split.data, split.labels)

    train, test = stacks(plain.train, "train", TRAIN_STACKS), stacks(plain.test, "test", TEST_STACKS)
    return Dataset(
        name=name,
        spec=DataSpec((CHANNELS, *plain.spec.shape[1:])),
        train=train,
        test=test,
        reference=test,
        reference_note=f"against {len(test):,} stacks of the {len(plain.test):,} real test images",
        modes=StackedClasses(len(plain.class_names), CHANNELS),
        class_names=(),
        checksum=checksum_of(train, test),
        extractor=plain.extractor,
    )
