"""Adds captions of three words to digits: which digit, how thick, which way it leans, by metrics/captions.py."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Captions, Dataset, Split, checksum_of, takes
from benchmarks.datasets.images import digits
from benchmarks.datasets.published import mnist
from metrics.captions import RULES, WORDS, all_captions, caption_tokens
from variants.base import DataSpec


@dataclass(frozen=True, eq=False)
class CaptionedSplit(Split):
    """Holds images with labels and captions; the condition of a network is the caption, not the label."""

    # Indices into the vocabulary.
    tokens: Int64[Tensor, "examples 3"] | None = None

    def condition(self, indices: Tensor | slice) -> Int64[Tensor, "batch 3"]:
        return self.tokens[indices]

    def tensors(self) -> tuple[Tensor, ...]:
        return (*super().tensors(), self.tokens)

    def select(self, indices: Tensor) -> "CaptionedSplit":
        return replace(super().select(indices), tokens=self.tokens[indices])

    def to(self, device: torch.device | str) -> "CaptionedSplit":
        return replace(super().to(device), tokens=self.tokens.to(device))


@takes(seed=False)
def captions_mnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """MNIST with captions such as "bold seven right"; a fifth of the captions is held out of training"""
    return _captioned(mnist(DatasetConfig("mnist"), data_dir, seed))


@takes(seed=False)
def captions_digits(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """digits with captions such as "bold seven right"; a fifth of the captions is held out of training"""
    return _captioned(digits(DatasetConfig("digits"), data_dir, seed))


def held_out_captions() -> Int64[Tensor, "captions 3"]:
    """Returns the 12 captions that are held out of training: every fifth of the 60, in the order of their words.

    Each of their words occurs in training: every digit keeps four or five of its six captions.
    """
    return all_captions()[::5]


def _captioned(plain: Dataset) -> Dataset:
    rule = RULES[plain.name]
    held_out = held_out_captions()

    def with_captions(split: Split) -> CaptionedSplit:
        # Pieces that fit the processor's cache: eight times as fast as pieces of 4,096, and in little memory.
        pieces = torch.arange(len(split)).split(256)
        tokens = torch.cat([caption_tokens(split.images(piece), split.labels[piece], rule) for piece in pieces])
        return CaptionedSplit(split.data, split.labels, tokens)

    train = with_captions(plain.train)
    train = train.select(~occur_in(train.tokens, held_out))
    test = with_captions(plain.test)
    reference = test if plain.reference is plain.test else with_captions(plain.reference)
    return replace(
        plain,
        name=f"captions_{plain.name}",
        spec=DataSpec(plain.spec.shape, vocabulary=WORDS),
        train=train,
        test=test,
        reference=reference,
        captions=Captions(rule, held_out),
        checksum=checksum_of(train, test),
    )


def occur_in(tokens: Int64[Tensor, "batch 3"], listed: Int64[Tensor, "captions 3"]) -> Bool[Tensor, " batch"]:
    """Returns whether each caption is in the list."""
    return (tokens[:, None] == listed).all(2).any(1)
