"""Computes the kernel inception distance (KID): squared maximum mean discrepancy with k(x, y) = (xᵀy/d + 1)³.

It is unbiased: 0 on average for samples of one distribution, and sometimes negative. Range (−∞, ∞), smaller is better;
it comes with a standard error. Bińkowski et al. 2018, section 4.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows
from metrics.two_sample import TwoSampleMetric, figure

_ROWS = 256


class Discrepancy(NamedTuple):
    """Holds a squared maximum mean discrepancy and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class KernelSide:
    """Holds features (samples, features), and each one's mean kernel with the others (samples,), float64."""

    features: Tensor
    within: Tensor


def kernel_side(features: Float[Tensor, "samples features"]) -> KernelSide:
    """Computes one side of the comparison. Raises Unmeasurable for fewer than two rows."""
    n, d = features.shape
    if n < 2:
        raise Unmeasurable(f"the unbiased estimate needs at least 2 examples, not {n}")
    totals = _sums_within(features)
    own = (features.double().square().sum(1) / d + 1) ** 3
    return KernelSide(features, (totals - own) / (n - 1))


def squared_mmd(fake: KernelSide, real: KernelSide) -> Discrepancy:
    """Estimates the discrepancy from all pairs, without bias, and its standard error, in linear memory.

    With u_i = mean_j k(x_i, x_j) − mean_j k(x_i, y_j) for a fake, and v_j likewise for a real sample, the estimate is
    mean(u) + mean(v), and its variance to first order 4 var(u)/n + 4 var(v)/m (Sutherland et al. 2017, section 3, the
    leading term). For equal distributions that term vanishes, and the error is too large rather than too small.
    """
    rows, columns = _kernel_sums(fake.features, real.features)
    u = fake.within - rows / len(real.features)
    v = real.within - columns / len(fake.features)
    variance = 4 * u.var() / len(u) + 4 * v.var() / len(v)
    return Discrepancy((u.mean() + v.mean()).item(), math.sqrt(variance.item()))


def _sums_within(x: Float[Tensor, "n features"]) -> Float[Tensor, " n"]:
    """Sums the kernel of each sample with all, itself included, in float64; each pair of parts is computed once."""
    scaled, sums = x / x.shape[1], torch.zeros(len(x), dtype=torch.float64, device=x.device)
    size = chunk_rows(_ROWS, x)
    for start in range(0, len(x), size):
        kernel = (x[start : start + size] @ scaled[start:].mT).add_(1).pow_(3)
        sums[start : start + size] += kernel.sum(1)
        sums[start + size :] += kernel[:, size:].sum(0)
    return sums


def _kernel_sums(
    x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
    """Sums the kernel over y for each x, and over x for each y, in float64; products keep the features' type."""
    scaled = (y / y.shape[1]).mT
    rows, columns = (torch.zeros(len(side), dtype=torch.float64, device=y.device) for side in (x, y))
    # One buffer for all parts: results that are kept would fill the gap of a freed buffer, and the heap would grow.
    size = chunk_rows(_ROWS, x)
    place = x.new_empty(min(size, len(x)), len(y))
    for part, sums in zip(x.split(size), rows.split(size), strict=True):
        kernel = torch.mm(part, scaled, out=place[: len(part)]).add_(1).pow_(3)
        sums += kernel.sum(1)
        columns += kernel.sum(0)
    return rows, columns


class KernelDistance(TwoSampleMetric):
    """Computes the kernel distance `kid` of features, and its standard error `kid_error`, as `squared_mmd` does.

    Every pair counts once, so there is no subset to draw. Keeps all features. See TwoSampleMetric.

    >>> import torch
    >>> distance = KernelDistance()
    >>> real = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    >>> distance.update(real[:250], real=True)
    >>> distance.update(real[250:], real=False)
    >>> values = distance.compute()
    >>> bool(values["kid"].abs() < 3 * values["kid_error"])
    True
    """

    def derive(self, real: tuple[Tensor, ...]) -> KernelSide:
        return kernel_side(*real)

    def compute(self) -> dict[str, Tensor]:
        value, error = squared_mmd(kernel_side(*self.get_rows(real=False)), self.derive_real())
        return {"kid": figure(value), "kid_error": figure(error)}
