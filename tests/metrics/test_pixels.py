"""The pixel space against principal components."""

import numpy as np
import pytest
import torch

from metrics.base import Unmeasurable
from metrics.frechet import moments
from metrics.pixels import pixel_space
from tests.tensors import normal


def test_pixel_space_is_that_of_principal_components() -> None:
    from sklearn.decomposition import PCA

    images = (normal(1, 400, 1, 6, 6) * torch.linspace(0.1, 2, 36).double().view(6, 6)).float()
    theirs = PCA(5).fit_transform(images.flatten(1).numpy())
    ours = pixel_space(images, 5).coordinates(images)
    # Components are the same up to their sign.
    np.testing.assert_allclose(np.abs(ours.numpy()), np.abs(theirs), atol=1e-3)
    assert pixel_space(images[:, :, :2, :2], 20).components.shape == (4, 4)


@pytest.mark.parametrize("count", [2, 8, 300])
def test_images_have_as_many_components_as_they_vary_along(count: int) -> None:
    """Of a set that is smaller than its images are, too, and the components are the same by either way."""
    images = normal(1, count, 3, 4, 4).float()
    axes = pixel_space(images).components.double()
    assert axes.shape == (48, min(20, count - 1))
    torch.testing.assert_close(axes.mT @ axes, torch.eye(axes.shape[1], dtype=torch.float64), atol=1e-6, rtol=0)
    variances = pixel_space(images).coordinates(images).double().var(0)
    wanted = torch.linalg.eigvalsh(moments(images.flatten(1)).covariance).flip(0)[: len(variances)]
    torch.testing.assert_close(variances, wanted, rtol=1e-4, atol=0)


def test_a_few_large_images_have_a_pixel_space() -> None:
    """A covariance of all their values would take 300 GB."""
    images = normal(1, 3, 3, 256, 256).float()
    assert pixel_space(images).components.shape == (3 * 256 * 256, 2)


def test_images_that_are_all_the_same_have_no_pixel_space() -> None:
    for count in (3, 300):
        with pytest.raises(Unmeasurable, match="all real examples are the same"):
            pixel_space(torch.full((count, 1, 4, 4), 0.3))
