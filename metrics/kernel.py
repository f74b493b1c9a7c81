"""The kernel inception distance: squared maximum mean discrepancy with the cubic kernel k(x, y) = (xᵀy/d + 1)³.

Unbiased, so 0 on average for samples of one distribution and sometimes negative; range (−∞, ∞), smaller is better.
Its standard error says how many of its digits mean something. Bińkowski et al. 2018, section 4.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows

_ROWS = 256


class Discrepancy(NamedTuple):
    """A squared maximum mean discrepancy and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class KernelSide:
    """Features (samples, features), and each one's mean kernel with the others (samples,), float64."""

    features: Tensor
    within: Tensor


def kernel_side(features: Float[Tensor, "samples features"]) -> KernelSide:
    """One side of the comparison; the real one is computed once. Raises Unmeasurable for fewer than two rows."""
    n, d = features.shape
    if n < 2:
        raise Unmeasurable(f"the unbiased estimate needs at least 2 examples, not {n}")
    totals = _sums_within(features)
    own = (features.double().square().sum(1) / d + 1) ** 3
    return KernelSide(features, (totals - own) / (n - 1))


def squared_mmd(fake: KernelSide, real: KernelSide) -> Discrepancy:
    """The unbiased estimate from all pairs, and its standard error, in memory linear in the samples.

    With u_i = mean_j k(x_i, x_j) − mean_j k(x_i, y_j) for a fake, and v_j likewise for a real sample, the estimate is
    mean(u) + mean(v), and its variance to first order 4 var(u)/n + 4 var(v)/m (Sutherland et al. 2017, section 3,
    the leading term). For equal distributions, where that term vanishes, the error is on the large side.
    """
    rows, columns = _kernel_sums(fake.features, real.features)
    u = fake.within - rows / len(real.features)
    v = real.within - columns / len(fake.features)
    variance = 4 * u.var() / len(u) + 4 * v.var() / len(v)
    return Discrepancy((u.mean() + v.mean()).item(), math.sqrt(variance.item()))


def _sums_within(x: Float[Tensor, "n features"]) -> Float[Tensor, " n"]:
    """Sums of the kernel of each sample with all, itself included; float64. Pairs in different parts are taken once."""
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
    """Sums of the kernel over y for each x, and over x for each y; float64, the products in the features' own type."""
    scaled = (y / y.shape[1]).mT
    rows, columns = (torch.zeros(len(side), dtype=torch.float64, device=y.device) for side in (x, y))
    # One place for all parts: what is kept of each would lie in the gap that it leaves, and the heap would grow.
    size = chunk_rows(_ROWS, x)
    place = x.new_empty(min(size, len(x)), len(y))
    for part, sums in zip(x.split(size), rows.split(size), strict=True):
        kernel = torch.mm(part, scaled, out=place[: len(part)]).add_(1).pow_(3)
        sums += kernel.sum(1)
        columns += kernel.sum(0)
    return rows, columns
