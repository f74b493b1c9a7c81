"""Draws the generator's input.

A distribution is a function `(shape, stream) -> tensor`: it draws from the given generator alone, on its device.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

DrawNoise = Callable[[Sequence[int], Generator], Tensor]


def gaussian(shape: Sequence[int], stream: Generator) -> Tensor:
    """standard normal, N(0, 1)"""
    return torch.randn(*shape, generator=stream, device=stream.device)


def uniform(shape: Sequence[int], stream: Generator) -> Tensor:
    """uniform on [-1, 1), of variance 1/3, as commonly used"""
    return torch.rand(*shape, generator=stream, device=stream.device).mul_(2).sub_(1)


def uniform_unit(shape: Sequence[int], stream: Generator) -> Tensor:
    """uniform on [-√3, √3), of variance 1"""
    return uniform(shape, stream).mul_(math.sqrt(3))


def bernoulli(shape: Sequence[int], stream: Generator) -> Tensor:
    """-1 or 1 with equal chances, of variance 1"""
    return torch.empty(*shape, device=stream.device).bernoulli_(0.5, generator=stream).mul_(2).sub_(1)


def truncated_gaussian(shape: Sequence[int], stream: Generator) -> Tensor:
    """normal cut off at ±2 deviations and scaled to variance 1"""
    drawn = torch.empty(*shape, device=stream.device)
    return torch.nn.init.trunc_normal_(drawn, a=-2.0, b=2.0, generator=stream).div_(TRUNCATED_DEVIATION)


# Of a standard normal cut off at ±2: 1 - 2·2·φ(2) / (Φ(2) - Φ(-2)), and its root.
TRUNCATED_DEVIATION = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))

NOISES: dict[str, DrawNoise] = {
    "gaussian": gaussian,
    "uniform": uniform,
    "uniform_unit": uniform_unit,
    "bernoulli": bernoulli,
    "truncated_gaussian": truncated_gaussian,
}
