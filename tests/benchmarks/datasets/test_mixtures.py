"""Mixtures are what theory says: shares, spreads, centres and seeds."""

import math

import pytest
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load
from variants.recipe import UserError

NORMAL = 4.5  # standard errors: a true sampler fails one such test in 150,000


@pytest.fixture(params=["ring8", "grid25", "arc"])
def mixture(request: pytest.FixtureRequest) -> Dataset:
    return load(DatasetConfig(request.param), seed=1)


def distances(dataset: Dataset) -> torch.Tensor:
    """From each training point to its own centre, in units of sigma."""
    own = dataset.modes.points[dataset.train.labels].double()
    return (dataset.train.data.double() - own).norm(dim=1) / dataset.modes.sigma


def test_every_mode_is_equally_likely(mixture: Dataset) -> None:
    counts = mixture.train.labels.bincount(minlength=mixture.spec.classes).double()
    expected = len(mixture.train) / mixture.spec.classes
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = mixture.spec.classes - 1
    assert abs(chi_square - freedom) < NORMAL * math.sqrt(2 * freedom)


def test_each_mode_is_a_round_gaussian_at_its_centre(mixture: Dataset) -> None:
    sigma = mixture.modes.sigma
    for mode, centre in enumerate(mixture.modes.points.double()):
        points = mixture.train.data[mixture.train.labels == mode].double()
        count = len(points)
        assert ((points.mean(0) - centre).abs() < NORMAL * sigma / math.sqrt(count)).all()
        covariance = torch.cov(points.T) / sigma**2
        assert ((covariance.diagonal() - 1).abs() < NORMAL * math.sqrt(2 / count)).all()
        assert covariance[0, 1].abs() < NORMAL / math.sqrt(count)


def test_the_shares_within_one_two_three_sigma_are_rayleighs(mixture: Dataset) -> None:
    radius, count = distances(mixture), len(mixture.train)
    for sigmas, expected in ((1, 0.393469), (2, 0.864665), (3, 0.988891)):  # 1 - exp(-sigmas ** 2 / 2)
        error = math.sqrt(expected * (1 - expected) / count)
        assert abs((radius < sigmas).double().mean() - expected) < NORMAL * error


def test_the_disc_of_overlap_holds_its_mode_and_no_other(mixture: Dataset) -> None:
    points, disc = mixture.modes.points, mixture.modes.disc * mixture.modes.sigma
    assert (distances(mixture) < mixture.modes.disc).double().mean() > 0.99999
    apart = torch.cdist(points, points) + torch.eye(len(points)) * 1e9
    assert apart.min() > 2 * disc


def test_the_nearest_centre_is_the_label(mixture: Dataset) -> None:
    assert torch.equal(torch.cdist(mixture.train.data, mixture.modes.points).argmin(1), mixture.train.labels)


def test_training_testing_and_seeds_are_other_draws() -> None:
    first, second = (load(DatasetConfig("ring8"), seed=seed) for seed in (0, 1))
    assert first.checksum != second.checksum
    assert not torch.equal(first.train.data[:10_000], first.test.data)
    assert not torch.equal(first.train.labels, second.train.labels)
    assert (len(first.train), len(first.test)) == (100_000, 10_000)
    assert first.train.data.dtype == torch.float32


def test_the_ring_has_eight_centres_on_its_circle() -> None:
    ring = load(DatasetConfig("ring8"))
    points = ring.modes.points.double()
    assert tuple(points.shape) == (8, 2)
    assert torch.allclose(points.norm(dim=1), torch.ones(8, dtype=torch.double), atol=1e-7)
    neighbours = (points - points.roll(1, 0)).norm(dim=1)
    assert torch.allclose(neighbours, torch.full((8,), 0.7653668647, dtype=torch.double), atol=1e-6)
    assert (ring.modes.sigma, ring.modes.disc) == (0.01, 10.0)
    wide = load(DatasetConfig("ring8", radius=2.0, sigma=0.02))
    assert torch.allclose(wide.modes.points, 2 * ring.modes.points)
    assert wide.modes.sigma == 0.02


def test_the_grid_has_the_published_centres() -> None:
    grid = load(DatasetConfig("grid25"))
    expected = {(x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)}
    assert {tuple(point) for point in grid.modes.points.tolist()} == expected
    assert (grid.modes.sigma, grid.modes.disc) == (0.05, 5.0)
    assert load(DatasetConfig("grid25", spacing=1.0)).modes.points.abs().max() == 2.0


def test_the_number_of_modes_on_the_arc_changes_nothing_else() -> None:
    ring, full = load(DatasetConfig("ring8")), load(DatasetConfig("arc", modes=16))
    neighbours = (ring.modes.points[1] - ring.modes.points[0]).norm()
    for modes in (1, 2, 4, 8, 16):
        arc = load(DatasetConfig("arc", modes=modes))
        assert arc.spec.classes == len(arc.modes.points) == modes
        assert torch.equal(arc.modes.points, full.modes.points[:modes])
        assert (arc.modes.sigma, arc.modes.disc) == (ring.modes.sigma, ring.modes.disc)
        steps = (arc.modes.points[1:] - arc.modes.points[:-1]).norm(dim=1)
        assert torch.allclose(steps, neighbours.expand(modes - 1), atol=1e-6)
    assert torch.allclose((full.modes.points[0] - full.modes.points[-1]).norm(), neighbours, atol=1e-6)
    with pytest.raises(UserError, match="--modes is at most 16 on the arc, not 17"):
        load(DatasetConfig("arc", modes=17))
