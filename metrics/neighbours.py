"""Precision, recall, density and coverage: manifolds made of balls that reach to the k-th nearest neighbour.

Each needs as many fakes as real samples, and is read beside its value for two sets of real samples: it is not 1 there.
Recall also rises with noise, because noisy fakes have large balls, so it never decides alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

MANIFOLD_K = 3
DENSITY_K = 5
_ROWS = 256


def squared_distances(x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]) -> Float[Tensor, "n m"]:
    """Squared Euclidean distances, never negative; by the expanded square, so centre data that lies far from 0."""
    squares = x.square().sum(1, keepdim=True) + y.square().sum(1)
    return torch.addmm(squares, x, y.mT, alpha=-2).clamp_min_(0)


def squared_radii(points: Float[Tensor, "n features"], ks: tuple[int, ...]) -> tuple[Float[Tensor, " n"], ...]:
    """Squared distance of each point to its k-th nearest other point, for each k; infinite where there are too few."""
    n = len(points)
    parts = [points.new_zeros(0, min(max(ks), n))]
    for start in range(0, n, _ROWS):
        rows = points[start : start + _ROWS]
        distances = squared_distances(rows, points)
        own = torch.arange(len(rows), device=points.device)
        distances[own, start + own] = torch.inf
        parts.append(distances.topk(min(max(ks), n), largest=False, sorted=True).values)
    nearest = torch.cat(parts)
    # Where there are no k others, the last of the n is the point itself, at the infinite distance given to it above.
    return tuple(nearest[:, min(k, n) - 1] if n else nearest.flatten() for k in ks)


@dataclass(frozen=True)
class Manifold:
    """Real points (n, features) with their squared radii to the 3rd and to the 5th neighbour."""

    points: Tensor
    radii: Tensor
    density_radii: Tensor


def manifold(points: Float[Tensor, "n features"]) -> Manifold:
    """The real side, computed once."""
    radii, density_radii = squared_radii(points, (MANIFOLD_K, DENSITY_K))
    return Manifold(points, radii, density_radii)


class Neighbourhood(NamedTuple):
    """precision, recall: Kynkäänniemi et al. 2019, eq. 2, k = 3. density, coverage: Naeem et al. 2020, eq. 5, 6, k = 5.

    precision: share of fakes inside a ball of a real sample. recall: share of real samples inside a ball of a fake.
    density: mean number of real balls that a fake lies in, over k; not bounded by 1. coverage: share of real
    samples whose ball holds a fake. All are larger for better samples; all but density lie in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(fake: Float[Tensor, "n features"], real: Manifold) -> Neighbourhood:
    """All four, in one pass over the distances and memory linear in the samples."""
    (fake_radii,) = squared_radii(fake, (MANIFOLD_K,))
    precise, balls = 0, 0
    recalled = torch.zeros(len(real.points), dtype=torch.uint8, device=fake.device)
    covered = torch.zeros_like(recalled)
    for rows, reach in zip(fake.split(_ROWS), fake_radii.split(_ROWS), strict=True):
        distances = squared_distances(rows, real.points)
        precise += _any(distances <= real.radii, 1).count_nonzero()
        recalled |= _any(distances <= reach[:, None], 0)
        inside = distances <= real.density_radii
        balls += inside.count_nonzero()
        covered |= _any(inside, 0)
    return Neighbourhood(
        precision=float(precise) / len(fake),
        recall=recalled.double().mean().item(),
        density=float(balls) / (DENSITY_K * len(fake)),
        coverage=covered.double().mean().item(),
    )


def _any(flags: Bool[Tensor, "n m"], axis: int) -> UInt8[Tensor, " left"]:
    # Tensor.any takes thirty times as long on a CPU.
    return flags.view(torch.uint8).amax(axis)


def inside_class(
    fake: Float[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    real: Float[Tensor, "m features"],
    real_classes: Int[Tensor, " m"],
    k: int = MANIFOLD_K,
) -> Bool[Tensor, " n"]:
    """Whether each fake lies within the k-th neighbour ball of a real sample of its own class, balls within the class.

    A class with no more than k real samples has no ball, and nothing lies inside it.
    """
    inside = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    for label in real_classes.unique():
        members, wanted = real[real_classes == label], classes == label
        if len(members) <= k or not wanted.any():
            continue
        (radii,) = squared_radii(members, (k,))
        inside[wanted] = (squared_distances(fake[wanted], members) <= radii).any(1)
    return inside
