"""Computes the Fréchet distance between two sets of features, each fitted by a Gaussian: FID.

Range [0, ∞), smaller is better; 0 for equal means and covariances. Two samples of one distribution do not reach 0: the
bias grows with the number of features squared over the number of samples (Bińkowski et al. 2018; Chong & Forsyth 2020),
so compare only values of the same features and sample counts. Heusel et al. 2017, eq. 6; Dowson & Landau 1982.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows

_ROWS = 1024


@dataclass(frozen=True)
class Moments:
    """Holds the mean (features,) and unbiased covariance (features, features) of `count` rows, float64, on the CPU.

    The rest of the computation is small, and done by LAPACK.
    """

    mean: Tensor
    covariance: Tensor
    count: int

    @functools.cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp_min(0).sqrt()) @ vectors.mT


def moments(features: Float[Tensor, "samples features"] | Iterable[Float[Tensor, "samples features"]]) -> Moments:
    """Computes moments of features, whole or in chunks, in float64, in one pass and bounded memory.

    Raises Unmeasurable for fewer than two rows.
    """
    chunks = features.split(chunk_rows(_ROWS, features)) if isinstance(features, Tensor) else features
    count, shift = 0, None
    for chunk in chunks:
        rows = chunk.double()
        if shift is None:
            # Sums about zero would cancel digits that sums about a point near the mean keep.
            shift = rows.mean(0) if len(rows) else rows.new_zeros(rows.shape[1])
            total, products = torch.zeros_like(shift), shift.new_zeros(len(shift), len(shift))
        rows = rows - shift
        count += len(rows)
        total += rows.sum(0)
        products += rows.mT @ rows
    if count < 2:
        raise Unmeasurable(f"a covariance needs at least 2 examples, not {count}")
    shift, total, products = shift.cpu(), total.cpu(), products.cpu()
    mean = total / count
    return Moments(shift + mean, (products - count * torch.outer(mean, mean)) / (count - 1), count)


def frechet_distance(fake: Moments, real: Moments) -> float:
    """Returns ‖m₁ − m₂‖² + tr(S₁ + S₂ − 2 (S₁ S₂)^½), infinite where a moment is not finite.

    The last trace is the sum of the roots of the eigenvalues of S₁S₂, so no square root of a matrix is needed.
    """
    if not all(bool(torch.isfinite(m).all()) for m in (fake.mean, fake.covariance, real.mean, real.covariance)):
        return math.inf
    roots = product_eigenvalues(fake, real).clamp_min(0).sqrt().sum().item()
    traces = (fake.covariance.trace() + real.covariance.trace()).item()
    return max(0.0, (fake.mean - real.mean).square().sum().item() + traces - 2 * roots)


def product_eigenvalues(fake: Moments, real: Moments) -> Float[Tensor, " features"]:
    """Returns the eigenvalues of S₁S₂: real, and not negative except by rounding.

    LAPACK solves S₁S₂v = λv as a symmetric problem, by the Cholesky factor of S₂; with 1,024 features that takes a
    sixteenth of the time of scipy's sqrtm. If S₂ is singular, as with fewer samples than features, the eigenvalues of
    S₂^½ S₁ S₂^½ are computed, which are the same.
    """
    import scipy.linalg

    ours, theirs = fake.covariance.numpy(), real.covariance.numpy()
    try:
        values = scipy.linalg.eigh(ours, theirs, type=2, eigvals_only=True, driver="gv", check_finite=False)
    except np.linalg.LinAlgError:
        product = real.root @ fake.covariance @ real.root
        return torch.linalg.eigvalsh((product + product.mT) / 2)
    return torch.from_numpy(values)


def geometric_mean(distances: Iterable[float]) -> float:
    """Combines distances in several feature spaces into one value, 0 if one of them is 0."""
    values = list(distances)
    return math.exp(math.fsum(math.log(v) if v > 0 else -math.inf for v in values) / len(values))
