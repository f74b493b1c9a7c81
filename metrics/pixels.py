"""Projects images on the principal components of real images: features that come from no classifier.

A classifier learns to ignore changes that keep the class, so plain pixel noise hardly moves its features.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.frechet import moments

COMPONENTS = 20
_COLUMNS = 4096
# A variance below this share of the largest one is rounding error, and so is a largest one far below a grey level's.
_ROUNDING, _LEAST = 1e-10, 1e-8


@dataclass(frozen=True)
class PixelSpace:
    """Holds the mean (values,) and the components (values, components) of flattened real images, float32."""

    mean: Tensor
    components: Tensor

    def coordinates(self, images: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch components"]:
        """Projects images on the components."""
        return (images.flatten(1) - self.mean) @ self.components


def pixel_space(images: Float[Tensor, "batch *shape"], components: int = COMPONENTS) -> PixelSpace:
    """Computes the first principal components of these images, or fewer if they vary along fewer.

    Raises Unmeasurable for images that do not vary.
    """
    from scipy.linalg import eigh

    values = images.flatten(1)
    # Fewer images than values span fewer components, and the matrix of their products is smaller.
    few = len(values) <= values.shape[1]
    mean, matrix = _products(values) if few else _covariance(values)
    size = len(matrix)
    variances, vectors = eigh(matrix.numpy(), subset_by_index=[max(0, size - components), size - 1])
    # No image varies along the other directions: they are arbitrary, and the distance would depend on the choice.
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
    """Returns the mean of the rows, and the products (batch, batch) of the centred rows; float64, on the CPU."""
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
    """Returns the sum of the centred rows, weighted for each axis; float64."""
    middles = mean.to(values.device).split(_COLUMNS)
    parts = zip(values.split(_COLUMNS, dim=1), middles, strict=True)
    return torch.cat([(part.double() - middle).mT @ weights for part, middle in parts])
