"""Figures in the features of Inception, on random weights in the format of the published ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from metrics import inception
from metrics.base import Unmeasurable
from metrics.inception import BadWeights, Inception, InceptionComparison, InceptionFeatures, as_bytes, check_weights
from tests.inception_weights import save_stand_in


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield save_stand_in(tmp_path_factory.mktemp("inception") / inception.FILE, patch)


def noise(count: int, channels: int = 3, side: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def spread(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + shift


def few_features(count: int, seed: int, shift: float = 0.0) -> InceptionFeatures:
    return InceptionFeatures(spread(count, 6, seed, shift), spread(count, 9, seed, shift))


def test_only_the_published_file_is_unpickled(weights: Path, tmp_path: Path) -> None:
    check_weights(weights)
    ran = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple:
            return Path.touch, (ran,)

    hostile = tmp_path / inception.FILE
    torch.save(Hostile(), hostile)
    with pytest.raises(BadWeights, match="is not the published file, or not all of it"):
        Inception(hostile)
    assert not ran.exists()
    hostile.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BadWeights, match="not the published file, or not all of it"):
        Inception(hostile)
    with pytest.raises(BadWeights, match="cannot be read: No such file"):
        Inception(tmp_path / "missing.pth")


def test_features_are_those_of_8_bits_and_grey_is_three_equal_channels(weights: Path) -> None:
    network, grey = Inception(weights), noise(3, channels=1)
    read = network(grey)
    assert (read.features.shape, read.logits.shape) == ((3, 2048), (3, 1008))
    assert torch.equal(read.features, network(grey.expand(-1, 3, -1, -1)).features)
    levels = as_bytes(torch.tensor([-1.5, -1.0, 0.0, 1.0]).view(1, 1, 2, 2))
    assert levels[0, 0].flatten().tolist() == [0, 0, 128, 255]
    rounded = as_bytes(grey)[:, :1].float() / 127.5 - 1
    assert torch.equal(read.features, network(rounded).features)
    with pytest.raises(ValueError, match="not 2 channels"):
        network(noise(3, channels=2))


def test_features_do_not_depend_on_the_cut_into_chunks(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = Inception(weights), noise(3)
    whole = network(images)
    monkeypatch.setattr(inception, "_CHUNK", 2)
    torch.testing.assert_close(network(images).features, whole.features)


def test_distance_and_score_are_those_of_the_papers() -> None:
    real, samples = few_features(400, 1), few_features(500, 2, shift=0.3)
    both = InceptionComparison(real, samples)
    a, b = (side.features.double().numpy() for side in (real, samples))
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert both.fid == pytest.approx(expected, rel=1e-5)
    # The kernel (x·y / 6 + 1)³, whole sets: subsets of 400 of 500 scatter about it.
    kernel = lambda x, y: (x @ y.T / 6 + 1) ** 3  # noqa: E731
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))  # noqa: E731
    exact = off(kernel(a, a)) + off(kernel(b, b)) - 2 * kernel(a, b).mean()
    assert both.kid == pytest.approx(exact, rel=0.05)
    log_shares = samples.logits.double().log_softmax(1)
    divergence = (log_shares.exp() * (log_shares - log_shares.exp().mean(0).log())).sum(1).mean()
    # Over ten groups the mean is a little lower: each group's own mean is nearer to its samples.
    assert both.score == pytest.approx(float(divergence.exp()), rel=0.05)
    assert both.score < divergence.exp()


def test_figures_are_repeated_and_leave_the_global_random_state() -> None:
    sides = few_features(60, 1), few_features(50, 2)
    before = torch.random.get_rng_state()
    first, second = InceptionComparison(*sides), InceptionComparison(*sides)
    assert (first.kid, first.score) == (second.kid, second.score)
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(Unmeasurable, match="at least 10 samples, not 9"):
        _ = InceptionComparison(sides[0], few_features(9, 3)).score
