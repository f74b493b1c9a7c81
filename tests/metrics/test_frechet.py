"""The Fréchet distance against theory, general matrix roots and torchmetrics."""

import math
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch

from metrics.base import Unmeasurable
from metrics.frechet import Moments, frechet_distance, geometric_mean, moments
from tests.tensors import Identity, normal


def test_frechet_distance_of_diagonal_gaussians_is_that_of_theory() -> None:
    one = Moments(torch.tensor([0.0, 1.0]).double(), 99 * torch.diag(torch.tensor([1.0, 4.0]).double()), 100)
    other = Moments(torch.tensor([3.0, 1.0]).double(), 99 * torch.diag(torch.tensor([9.0, 1.0]).double()), 100)
    # 3² of the means, (1 - 3)² and (2 - 1)² of the deviations.
    assert frechet_distance(one, other) == pytest.approx(14.0, rel=1e-12)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("size", [2, 6, 40])
def test_frechet_distance_agrees_with_the_general_matrix_root(size: int) -> None:
    mixing = normal(3, size, size)
    x, y = normal(1, 500, size), normal(2, 400, size) @ mixing + 0.3
    product = scipy.linalg.sqrtm(np.cov(x.numpy(), rowvar=False) @ np.cov(y.numpy(), rowvar=False))
    wanted = np.sum((x.mean(0) - y.mean(0)).numpy() ** 2)
    wanted += np.trace(np.cov(x.numpy(), rowvar=False) + np.cov(y.numpy(), rowvar=False) - 2 * product.real)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_agrees_with_torchmetrics() -> None:
    x, y = normal(1, 300, 6), normal(2, 250, 6) * 1.5 + 0.2
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    theirs.update(y, real=True)
    theirs.update(x, real=False)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(theirs.compute().item(), rel=1e-6)


def test_two_samples_have_a_covariance_and_one_has_none() -> None:
    assert moments(torch.tensor([[0.0], [2.0]])).covariance.item() == pytest.approx(2.0)
    with pytest.raises(Unmeasurable, match="at least 2 examples, not 1"):
        _ = moments(torch.zeros(1, 3)).covariance


def test_frechet_distance_of_fewer_samples_than_features() -> None:
    x, y = normal(1, 5, 40), normal(2, 5, 40)
    distance = frechet_distance(moments(x), moments(y))
    assert distance == pytest.approx(frechet_distance(moments(y), moments(x)), rel=1e-6)
    ours, theirs = moments(x), moments(y)
    roots = np.sqrt(np.linalg.eigvals((ours.covariance @ theirs.covariance).numpy()).real.clip(0)).sum()
    traces = (ours.covariance.trace() + theirs.covariance.trace()).item()
    wanted = (ours.mean - theirs.mean).square().sum().item() + traces - 2 * roots
    assert distance == pytest.approx(wanted, rel=1e-4)
    assert 0 < distance <= (x.mean(0) - y.mean(0)).square().sum() + x.var(0).sum() + y.var(0).sum()
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-5)


def test_moments_in_chunks_far_from_zero_keep_their_digits() -> None:
    rows = normal(5, 9000, 3) + 1e6
    whole, chunked = moments(rows), moments(iter(rows.split(777)))
    wanted = torch.from_numpy(np.cov((rows - 1e6).numpy(), rowvar=False))
    for each in (whole, chunked):
        assert each.count == 9000
        torch.testing.assert_close(each.mean, rows.mean(0), rtol=1e-12, atol=0)
        torch.testing.assert_close(each.covariance, wanted, rtol=1e-6, atol=1e-8)


def test_frechet_distance_of_what_is_not_finite_is_infinite() -> None:
    x = normal(1, 50, 3)
    broken = x.clone()
    broken[7, 1] = math.nan
    assert frechet_distance(moments(broken), moments(x)) == math.inf


def test_moments_of_parts_are_those_of_the_whole() -> None:
    rows = normal(5, 900, 3) @ normal(6, 3, 3) + 100
    whole, parts = moments(rows), [moments(part) for part in rows.split([1, 400, 99, 400])]
    merged = reduce(Moments.merge, parts)
    assert merged.count == 900
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(merged.covariance, whole.covariance, rtol=1e-10, atol=0)


def test_geometric_mean() -> None:
    assert geometric_mean([1.0, 4.0, 16.0]) == pytest.approx(4.0)
    assert geometric_mean([0.0, 4.0]) == 0.0


def test_frechet_distance_grows_with_a_planted_shift() -> None:
    real = moments(normal(1, 1000, 5))
    distances = [frechet_distance(moments(normal(2, 1000, 5) + shift), real) for shift in (0, 0.2, 0.5, 1.0)]
    assert all(nearer < further for nearer, further in pairwise(distances))
