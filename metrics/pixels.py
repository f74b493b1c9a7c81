"""A space of images that no classifier made: their principal components, and what those leave over.

A classifier is trained to overlook what does not change the class, so plain pixel noise hardly moves its features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.frechet import moments

COMPONENTS = 20


@dataclass(frozen=True)
class PixelSpace:
    """mean (values,) and components (values, components) of flattened real images, float32."""

    mean: Tensor
    components: Tensor

    def coordinates(self, images: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch components"]:
        """The images in these components."""
        return (images.flatten(1) - self.mean) @ self.components


def pixel_space(images: Float[Tensor, "batch *shape"], components: int = COMPONENTS) -> PixelSpace:
    """The space of the first principal components of these images (all of them, where there are fewer values)."""
    from scipy.linalg import eigh

    fit = moments(images.flatten(1))
    size = len(fit.mean)
    wanted = [max(0, size - components), size - 1]
    _, vectors = eigh(fit.covariance.numpy(), subset_by_index=wanted)
    axes = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1]))
    return PixelSpace(fit.mean.float().to(images.device), axes.float().to(images.device))
