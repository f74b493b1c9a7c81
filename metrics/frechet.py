"""Computes the Fréchet distance between two sets of features, each fitted by a Gaussian: FID.

Range [0, ∞), smaller is better; 0 for equal means and covariances. Two samples of one distribution do not reach 0: the
bias grows with the number of features squared over the number of samples (Bińkowski et al. 2018; Chong & Forsyth 2020),
so compare only values of the same features and sample counts. Heusel et al. 2017, eq. 6; Dowson & Landau 1982.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows
from metrics.two_sample import TwoSampleMetric, figure

_ROWS = 1024


@dataclass(frozen=True)
class Moments:
    """Holds the mean (features,) and summed products (features, features) of `count` centred rows, float64, on the CPU.

    The rest of the computation is small, and done by LAPACK.
    """

    mean: Tensor
    products: Tensor
    count: int

    @functools.cached_property
    def covariance(self) -> Tensor:
        """The unbiased covariance. Raises Unmeasurable for fewer than two rows."""
        if self.count < 2:
            raise Unmeasurable(f"a covariance needs at least 2 examples, not {self.count}")
        return self.products / (self.count - 1)

    def merge(self, other: "Moments") -> "Moments":
        """Returns the moments of the rows of both (Chan, Golub & LeVeque 1979, eq. 2.1)."""
        count, apart = self.count + other.count, other.mean - self.mean
        products = torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(self.mean + apart * (other.count / count), self.products + other.products + products, count)

    @functools.cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp_min(0).sqrt()) @ vectors.mT


def moments(features: Float[Tensor, "samples features"] | Iterable[Float[Tensor, "samples features"]]) -> Moments:
    """Computes moments of features, whole or in chunks, in float64, in one pass and bounded memory.

    Raises Unmeasurable without rows.
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
    if not count:
        raise Unmeasurable("a covariance needs at least 2 examples, not 0")
    shift, total, products = shift.cpu(), total.cpu(), products.cpu()
    mean = total / count
    return Moments(shift + mean, products - count * torch.outer(mean, mean), count)


def frechet_distance(fake: Moments, real: Moments) -> float:
    """Returns ‖m₁ − m₂‖² + tr(S₁ + S₂ − 2 (S₁ S₂)^½), infinite where a moment is not finite.

    The last trace is the sum of the roots of the eigenvalues of S₁S₂, so no square root of a matrix is needed. Raises
    Unmeasurable for fewer than two rows on a side.
    """
    if not all(bool(torch.isfinite(m).all()) for m in (fake.mean, fake.covariance, real.mean, real.covariance)):
        return math.inf
    roots = product_eigenvalues(fake, real).clamp_min(0).sqrt().sum().item()
    traces = (fake.covariance.trace() + real.covariance.trace()).item()
    return max(0.0, (fake.mean - real.mean).square().sum().item() + traces - 2 * roots)


def product_eigenvalues(fake: Moments, real: Moments) -> Float[Tensor, " features"]:
    """Returns the eigenvalues of S₁S₂: real, and not negative except by rounding.

    LAPACK solves S₁S₂v = λv as a symmetric problem, by the Cholesky factor of S₂, so no eigenvalue is complex by
    rounding. If S₂ is singular, as with fewer samples than features, the eigenvalues of S₂^½ S₁ S₂^½ are computed,
    which are the same.
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


class FrechetDistance(TwoSampleMetric):
    """Computes the Fréchet distance between features of samples and of real examples, as `frechet_distance` does.

    Keeps means and products, not features: the memory does not grow with the number of batches. See TwoSampleMetric.

    >>> import torch
    >>> distance = FrechetDistance()
    >>> real = torch.tensor([[0.0], [2.0], [4.0]])
    >>> for batch in real.split(2):
    ...     distance.update(batch, real=True)
    >>> distance.update(real + 3, real=False)
    >>> distance.compute()
    tensor(9., dtype=torch.float64)
    """

    rows = ("mean", "products", "count")
    plot_lower_bound = 0.0

    def update(self, samples: Tensor, real: bool) -> None:
        """Adds a batch of images or, without an extractor, of features (batch, features)."""
        features = self.extractor(samples)
        if not len(features):
            return
        rows = (each.to(features.device) for each in _to_rows(moments(features)))
        self.add_rows(real, *rows, merge=lambda *rows: _to_rows(_from_rows(*rows)))

    def derive(self, real: tuple[Tensor, ...]) -> Moments:
        return _from_rows(*real)

    def compute(self) -> Tensor:
        return figure(frechet_distance(_from_rows(*self.get_rows(real=False)), self.derive_real()))


class NormalizedFrechetDistance(TwoSampleMetric):
    """Computes the Fréchet distances in several feature spaces, and their geometric mean, as `geometric_mean` does.

    `compute` returns `fid_normalized`, the mean, and `fid_normalized_extractor_<k>`, the distance in the features of
    each extractor. No single feature space decides, whose scale or blind spots would be those of one training.

    extractors: callables from images to features; or how many, where `update` is given a list of features.

    >>> import torch
    >>> distances = NormalizedFrechetDistance([lambda images: images, lambda images: 4 * images])
    >>> real = torch.tensor([[0.0], [2.0], [4.0]])
    >>> distances.update(real, real=True)
    >>> distances.update(real + 1, real=False)
    >>> {name: value.item() for name, value in distances.compute().items()}
    {'fid_normalized': 4.0, 'fid_normalized_extractor_0': 1.0, 'fid_normalized_extractor_1': 16.0}
    """

    rows = ()
    plot_lower_bound = 0.0

    def __init__(
        self,
        extractors: Sequence[Callable[..., Tensor]] | int,
        *,
        reset_real_features: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(reset_real_features=reset_real_features, **kwargs)
        self.reads_images = not isinstance(extractors, int)
        every = extractors if self.reads_images else [None] * extractors
        self.distances = nn.ModuleList(
            FrechetDistance(extractor, reset_real_features=reset_real_features, **kwargs) for extractor in every
        )

    def update(self, samples: Tensor | Sequence[Tensor], real: bool) -> None:
        """Adds a batch of images; without extractors, a list of its features (batch, features) in each space."""
        parts = [samples] * len(self.distances) if self.reads_images else samples
        for distance, part in zip(self.distances, parts, strict=True):
            distance.update(part, real=real)

    def reset(self) -> None:
        super().reset()
        for distance in self.distances:
            distance.reset_real_features = self.reset_real_features
            distance.reset()

    def compute(self) -> dict[str, Tensor]:
        values = [distance.compute() for distance in self.distances]
        members = {f"fid_normalized_extractor_{which}": value for which, value in enumerate(values)}
        return {"fid_normalized": figure(geometric_mean(map(float, values))), **members}


def _to_rows(known: Moments) -> tuple[Tensor, Tensor, Tensor]:
    return known.mean[None], known.products[None], torch.tensor([known.count])


def _from_rows(mean: Tensor, products: Tensor, count: Tensor) -> Moments:
    """Returns the moments of all rows that these rows, one for each part, describe."""
    parts = zip(mean.cpu(), products.cpu(), count.tolist(), strict=True)
    return functools.reduce(Moments.merge, (Moments(*part) for part in parts))
