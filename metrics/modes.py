"""Counts which known modes of the data the samples reach, and how evenly.

Modes are the classes of labelled images, by a classifier, or the centres of a mixture in the plane. On a mixture,
overlap decides: uniform noise captures most modes of a ring or a grid, with a smaller divergence than many published
GANs, but overlaps little.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metrics.base import Unmeasurable

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
