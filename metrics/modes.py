"""Counts which known modes of the data the samples reach, and how evenly.

Modes are the classes of labelled images, by a classifier, or the centres of a mixture in the plane. On a mixture,
overlap decides: uniform noise captures most modes of a ring or a grid, with a smaller divergence than many published
GANs, but overlaps little.
"""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics import Metric  # noqa: TID253 -- see two_sample.py
from torchmetrics.utilities import dim_zero_cat  # noqa: TID253

from metrics.base import Unmeasurable
from metrics.two_sample import figure

REACHED_SHARE = 0.1
HIGH_QUALITY_SIGMAS = 3.0


def mode_counts(modes: Int[Tensor, " samples"], count: int) -> Float[Tensor, " modes"]:
    """Counts the samples of each of `count` modes, as float64."""
    return torch.bincount(modes, minlength=count).double()


def mode_coverage(counts: Float[Tensor, " modes"], truth: Float[Tensor, " modes"], samples: int) -> float:
    """Returns the share of modes with at least a tenth of their true share of all samples. In [0, 1], larger is better.

    counts: the samples that count for each mode; `samples`: how many there were in all. truth: counts, or shares, of
    real data; modes that it lacks are left out. Because of the tenth, which is our own choice, a few misclassified
    samples do not make full coverage.
    """
    shares, true = counts.double() / samples, truth.double() / truth.sum()
    present = true > 0
    return (shares >= REACHED_SHARE * true)[present].double().mean().item()


def modes_captured(counts: Float[Tensor, " modes"]) -> float:
    """Counts modes with at least one sample. In [0, modes], larger is better. Srivastava et al. 2017, section 4."""
    return float((counts > 0).sum())


def mode_kl(counts: Float[Tensor, " modes"], truth: Float[Tensor, " modes"]) -> float:
    """Returns KL(samples ‖ truth) of the distributions over modes, in nats. In [0, ∞), smaller is better; 0 log 0 = 0.

    This is the reverse divergence, as reported for stacked MNIST: Srivastava et al. 2017; Lin et al. 2018, section 4.
    Raises Unmeasurable without samples, and for samples of a mode that the truth lacks, whose divergence is infinite.
    """
    if not counts.any():
        raise Unmeasurable("there is no sample")
    if bool((truth[counts > 0] == 0).any()):
        raise Unmeasurable("some samples are of a mode of which there is no real example")
    shares, true = counts.double() / counts.sum(), truth.double() / truth.sum()
    present = shares > 0
    return max(0.0, (shares[present] * (shares[present] / true[present]).log()).sum().item())


def nearest_centres(
    points: Float[Tensor, "samples 2"], centres: Float[Tensor, "modes 2"]
) -> tuple[Int[Tensor, " samples"], Float[Tensor, " samples"]]:
    """Returns the nearest centre of each point, and the distance to it."""
    distances, nearest = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    return nearest, distances


def high_quality(distances: Float[Tensor, " samples"], sigma: float) -> Bool[Tensor, " samples"]:
    """Returns which points lie within 3 σ of their nearest centre. Of true samples, 1 − exp(−9/2) = 98.9 % do.

    Srivastava et al. 2017, section 4; Lin et al. 2018, section 4.1.
    """
    return distances <= HIGH_QUALITY_SIGMAS * sigma


def overlap(points: Float[Tensor, "samples 2"], centres: Float[Tensor, "modes 2"], radius: float) -> float:
    """Returns Σ_k min(q_k, 1/K), where q_k is the share of all points in the disc of this radius round centre k.

    In [0, 1], larger is better; 1 if each of K equal modes has its share. It tolerates blur within the disc and does
    not saturate: a mode with half its share adds half. Discs must not intersect. This project's own metric. Raises
    Unmeasurable without points.
    """
    if not len(points):
        raise Unmeasurable("there is no sample")
    nearest, distances = nearest_centres(points, centres)
    shares = mode_counts(nearest[distances <= radius], len(centres)) / len(points)
    return shares.clamp_max(1 / len(centres)).sum().item()


def mode_spread(
    points: Float[Tensor, "samples 2"], centres: Float[Tensor, "modes 2"], radius: float, sigma: float
) -> float:
    """Returns the spread of points within a mode over the true one: root mean square distance from the mean, over σ√2.

    Points in the disc of this radius round a centre count for its mode; squares are averaged over modes with at least
    two of them. In [0, ∞); 1 is right, 0 is a mode of one fixed point. This project's own metric. Raises Unmeasurable
    if no mode has two points.
    """
    nearest, distances = nearest_centres(points, centres)
    squares = []
    for mode in range(len(centres)):
        members = points[(nearest == mode) & (distances <= radius)].double()
        if len(members) > 1:
            squares.append(members.var(0).sum() / (2 * sigma**2))
    if not squares:
        raise Unmeasurable("no mode has two samples inside its disc")
    return torch.stack(squares).mean().sqrt().item()


class _ModeMetric(Metric):
    """Counts samples of each mode, for those of `count` modes that are known beforehand: `update` takes no `real`."""

    is_differentiable = False
    full_state_update = False
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("counts", torch.zeros(count, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, modes: Tensor, inside: Tensor | None = None) -> None:
        """Adds the modes (batch,) of a batch: the classes of a classifier, or the nearest centres.

        inside: which samples count for their mode, (batch,), such as those that look real; None for all.
        """
        self.counts = self.counts + mode_counts(modes if inside is None else modes[inside], len(self.counts))
        self.samples = self.samples + len(modes)

    @abstractmethod
    def compute(self) -> Tensor: ...


class ModeCoverage(_ModeMetric):
    """Computes the share of modes with at least a tenth of their true share of samples, as `mode_coverage` does.

    truth: how often each mode occurs in real data, counts or shares (modes,).

    >>> import torch
    >>> metric = ModeCoverage(torch.ones(4))
    >>> metric.update(torch.tensor([0, 0, 1, 2]))
    >>> metric.compute()
    tensor(0.7500, dtype=torch.float64)
    """

    plot_upper_bound = 1.0

    def __init__(self, truth: Tensor, **kwargs: Any) -> None:
        super().__init__(len(truth), **kwargs)
        self.truth = truth

    def compute(self) -> Tensor:
        return figure(mode_coverage(self.counts, self.truth.to(self.counts), int(self.samples)))


class ModeKL(_ModeMetric):
    """Computes the divergence of the samples' modes from the true ones, in nats, as `mode_kl` does.

    truth: how often each mode occurs in real data, counts or shares (modes,).

    >>> import torch
    >>> metric = ModeKL(torch.ones(4))
    >>> metric.update(torch.tensor([0, 0, 1, 1]))
    >>> metric.compute()
    tensor(0.6931, dtype=torch.float64)
    """

    higher_is_better = False

    def __init__(self, truth: Tensor, **kwargs: Any) -> None:
        super().__init__(len(truth), **kwargs)
        self.truth = truth

    def compute(self) -> Tensor:
        return figure(mode_kl(self.counts, self.truth.to(self.counts)))


class ModesCaptured(_ModeMetric):
    """Computes the number of modes that have a sample, of `count`, as `modes_captured` does.

    >>> import torch
    >>> metric = ModesCaptured(4)
    >>> metric.update(torch.tensor([0, 0, 2]))
    >>> metric.compute()
    tensor(2., dtype=torch.float64)
    """

    def compute(self) -> Tensor:
        return figure(modes_captured(self.counts))


class _CentreMetric(Metric):
    """Keeps points of the plane, to compare them with centres (modes, 2): `update` takes no `real`."""

    is_differentiable = False
    full_state_update = False
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self, centres: Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centres = centres
        self.add_state("points", [], dist_reduce_fx="cat")

    def update(self, points: Tensor) -> None:
        """Adds points (batch, 2)."""
        self.points = [*self.points, points]

    def _every(self) -> tuple[Tensor, Tensor]:
        """Returns all points, and the centres beside them."""
        if not len(self.points):
            raise Unmeasurable("there is no sample")
        points = dim_zero_cat(self.points)
        return points, self.centres.to(points)

    @abstractmethod
    def compute(self) -> Tensor: ...


class HighQuality(_CentreMetric):
    """Computes the share of points within 3 σ of a centre, as `high_quality` does.

    centres: (modes, 2). sigma: the standard deviation of the modes along each axis.

    >>> import torch
    >>> metric = HighQuality(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), sigma=0.1)
    >>> metric.update(torch.tensor([[0.2, 0.0], [0.5, 0.0]]))
    >>> metric.compute()
    tensor(0.5000, dtype=torch.float64)
    """

    plot_upper_bound = 1.0

    def __init__(self, centres: Tensor, sigma: float, **kwargs: Any) -> None:
        super().__init__(centres, **kwargs)
        self.sigma = sigma

    def compute(self) -> Tensor:
        points, centres = self._every()
        return figure(high_quality(nearest_centres(points, centres)[1], self.sigma).double().mean().item())


class Overlap(_CentreMetric):
    """Computes the share of the true mixture that points cover, mode by mode, as `overlap` does.

    centres: (modes, 2). radius: of the disc round a centre whose points count for the mode.

    >>> import torch
    >>> metric = Overlap(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), radius=0.3)
    >>> metric.update(torch.tensor([[0.2, 0.0], [0.1, 0.0], [0.0, 0.0], [1.0, 0.1]]))
    >>> metric.compute()
    tensor(0.7500, dtype=torch.float64)
    """

    plot_upper_bound = 1.0

    def __init__(self, centres: Tensor, radius: float, **kwargs: Any) -> None:
        super().__init__(centres, **kwargs)
        self.radius = radius

    def compute(self) -> Tensor:
        return figure(overlap(*self._every(), self.radius))


class ModeSpread(_CentreMetric):
    """Computes the spread of points within a mode over the true one, as `mode_spread` does.

    centres: (modes, 2). radius: of the disc round a centre whose points count for the mode. sigma: the true deviation.

    >>> import torch
    >>> metric = ModeSpread(torch.zeros(1, 2), radius=3.0, sigma=1.0)
    >>> metric.update(torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]))
    >>> round(metric.compute().item(), 4)
    1.1547
    """

    def __init__(self, centres: Tensor, radius: float, sigma: float, **kwargs: Any) -> None:
        super().__init__(centres, **kwargs)
        self.radius, self.sigma = radius, sigma

    def compute(self) -> Tensor:
        return figure(mode_spread(*self._every(), self.radius, self.sigma))
