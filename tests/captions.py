"""Captions as text, for tests that compare them."""

import torch

from metrics.captions import WORDS


def words(captions: torch.Tensor) -> set[str]:
    return {" ".join(WORDS[token] for token in caption) for caption in captions.tolist()}
