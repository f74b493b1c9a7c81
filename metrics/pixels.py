"""A space of images that no classifier made: their principal components, and what those leave over.

A classifier is trained to overlook what does not change the class, so plain pixel noise hardly moves its features.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.frechet import moments

COMPONENTS = 20
_COLUMNS = 4096
# A variance below this share of the largest one is rounding. So is a largest one far below that of one grey level.
_ROUNDING, _LEAST = 1e-10, 1e-8


@dataclass(frozen=True)
class PixelSpace:
    """mean (values,) and components (values, components) of flattened real images, float32."""

    mean: Tensor
    components: Tensor

    def coordinates(self, images: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch components"]:
        """The images in these components."""
        return (images.flatten(1) - self.mean) @ self.components


def pixel_space(images: Float[Tensor, "batch *shape"], components: int = COMPONENTS) -> PixelSpace:
    """The space of the first principal components of these images, or of fewer where they vary along fewer.

    Raises Unmeasurable for images that do not vary.
    """
    from scipy.linalg import eigh

    values = images.flatten(1)
    # Fewer images than values span fewer components, and the matrix of their products is the smaller one.
    few = len(values) <= values.shape[1]
    mean, matrix = _products(values) if few else _covariance(values)
    size = len(matrix)
    variances, vectors = eigh(matrix.numpy(), subset_by_index=[max(0, size - components), size - 1])
    # No image varies along the others: any direction would do as well, and the distance would depend on which is taken.
    varied = variances > _ROUNDING * max(variances[-1], _LEAST)
    if not varied.any():
        raise Unmeasurable("all real examples are the same")
    axes = torch.from_numpy(vectors[:, varied][:, ::-1].copy())
    if few:
        axes = _combined(values, mean, axes.to(images.device))
        axes = axes / axes.norm(dim=0)
    return PixelSpace(mean.float().to(images.device), axes.float().to(images.device))


def _covariance(values: Float[Tensor, "batch values"]) -> tuple[Tensor, Tensor]:
    fit = moments(values)
    return fit.mean, fit.covariance


def _products(values: Float[Tensor, "batch values"]) -> tuple[Tensor, Tensor]:
    """The mean of the rows, and the products (batch, batch) of their differences from it; float64, on the CPU."""
    if len(values) < 2:
        raise Unmeasurable(f"a covariance needs at least 2 examples, not {len(values)}")
    mean = values.mean(0, dtype=torch.float64)
    products = mean.new_zeros(len(values), len(values))
    for part, middle in zip(values.split(_COLUMNS, dim=1), mean.split(_COLUMNS), strict=True):
        centred = part.double() - middle
        products += centred @ centred.mT
    return mean.cpu(), (products / (len(values) - 1)).cpu()


def _combined(
    values: Float[Tensor, "batch values"], mean: Float[Tensor, " values"], weights: Float[Tensor, "batch axes"]
) -> Float[Tensor, "values axes"]:
    """The rows' differences from the mean, added up with each axis's weights; float64."""
    middles = mean.to(values.device).split(_COLUMNS)
    parts = zip(values.split(_COLUMNS, dim=1), middles, strict=True)
    return torch.cat([(part.double() - middle).mT @ weights for part, middle in parts])
