"""Distributions of the generator's input.

A distribution is a function `(shape, stream) -> tensor`: it draws from the given generator alone, on its device.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

Noise = Callable[[Sequence[int], Generator], Tensor]


def gaussian(shape: Sequence[int], stream: Generator) -> Tensor:
    """standard normal, N(0, 1)"""
    return torch.randn(*shape, generator=stream, device=stream.device)


def uniform(shape: Sequence[int], stream: Generator) -> Tensor:
    """uniform on [-1, 1), of variance 1/3, as commonly used"""
    return torch.rand(*shape, generator=stream, device=stream.device).mul_(2).sub_(1)


NOISES: dict[str, Noise] = {"gaussian": gaussian, "uniform": uniform}
