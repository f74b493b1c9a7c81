"""Computes precision, recall, density and coverage: a manifold is made of balls that reach to the k-th neighbour.

Pass as many fakes as real samples, and compare with the value for two sets of real samples, which is not 1. Recall also
rises with noise, because noisy fakes have large balls, so it never decides alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows
from metrics.two_sample import TwoSampleMetric, figure

MANIFOLD_K = 3
DENSITY_K = 5
_ROWS = 256
_HALVINGS = 6


def squared_distances(x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]) -> Float[Tensor, "n m"]:
    """Returns squared Euclidean distances, never negative. Uses the expanded square: centre data that is far from 0."""
    return (_left(x) @ _right(y).mT).clamp_min_(0)


def iterate_distances(
    x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]
) -> Iterator[tuple[slice, Float[Tensor, "part m"]]]:
    """Yields the rows of x in parts with their squared distances, which rounding may make negative.

    All parts share one buffer: results that are kept would fill the gap of a freed buffer, and the heap would grow.
    """
    left, right = _left(x), _right(y).mT
    size = chunk_rows(_ROWS, x)
    place = x.new_empty(min(size, len(x)), len(y))
    for start in range(0, len(x), size):
        rows = left[start : start + size]
        yield slice(start, start + len(rows)), torch.mm(rows, right, out=place[: len(rows)])


def _left(x: Float[Tensor, "n features"]) -> Float[Tensor, "n more"]:
    # The product of a left and a right side is x² - 2xy + y²: one pass over the distances, and not four.
    return torch.cat((x, x.square().sum(1, keepdim=True), x.new_ones(len(x), 1)), dim=1)


def _right(y: Float[Tensor, "m features"]) -> Float[Tensor, "m more"]:
    return torch.cat((-2 * y, y.new_ones(len(y), 1), y.square().sum(1, keepdim=True)), dim=1)


def k_smallest(values: Float[Tensor, "n m"], k: int) -> Float[Tensor, "n k"]:
    """Returns the k smallest values of each row, in order.

    Each row is divided into groups, and only the k groups with the smallest minima are searched, which contain the k
    smallest values. That takes a third of the time of topk on a CPU.
    """
    groups = values.shape[1] >> _HALVINGS
    if groups <= k:
        return values.topk(k, largest=False, sorted=True).values
    dealt = minima = values[:, : groups << _HALVINGS]
    for halving in reversed(range(_HALVINGS)):
        half = groups << halving
        minima = torch.minimum(minima[:, :half], minima[:, half:])
    chosen = minima.topk(k, largest=False, sorted=False).indices
    members = dealt.unflatten(1, (-1, groups)).gather(2, chosen[:, None].expand(-1, 1 << _HALVINGS, -1)).flatten(1)
    rest = values[:, groups << _HALVINGS :]
    return torch.cat((members, rest), dim=1).topk(k, largest=False, sorted=True).values


def squared_radii(points: Float[Tensor, "n features"], ks: tuple[int, ...]) -> tuple[Float[Tensor, " n"], ...]:
    """Returns each point's squared distance to its k-th nearest other point, for each k; infinite if too few exist."""
    n = len(points)
    nearest = points.new_empty(n, min(max(ks), n))
    for part, distances in iterate_distances(points, points):
        own = torch.arange(len(distances), device=points.device)
        distances[own, part.start + own] = torch.inf
        nearest[part] = k_smallest(distances, min(max(ks), n))
    nearest.clamp_min_(0)
    # Without k others, the last of the n is the point itself, at the infinite distance given to it above.
    return tuple(nearest[:, min(k, n) - 1] if n else nearest.flatten() for k in ks)


def all_equal(points: Float[Tensor, "n features"]) -> bool:
    """Tells whether all rows are equal up to rounding."""
    return bool(torch.allclose(points, points[:1].expand_as(points), rtol=1e-5, atol=1e-6))


def refuse_few(count: int, what: str) -> None:
    """Raises Unmeasurable if so many points have no DENSITY_K neighbours."""
    if count <= DENSITY_K:
        raise Unmeasurable(f"a ball reaches to the {DENSITY_K}th neighbour, and only {count} {what} are compared")


@dataclass(frozen=True)
class Manifold:
    """Holds real points (n, features) with their squared distances to the 3rd and to the 5th neighbour."""

    points: Tensor
    radii: Tensor
    density_radii: Tensor


def manifold(points: Float[Tensor, "n features"]) -> Manifold:
    """Computes the manifold of real points. Raises Unmeasurable if they are too few, or all the same."""
    refuse_few(len(points), "real examples")
    if all_equal(points):
        raise Unmeasurable("all real examples are the same")
    radii, density_radii = squared_radii(points, (MANIFOLD_K, DENSITY_K))
    return Manifold(points, radii, density_radii)


class Neighbourhood(NamedTuple):
    """Holds the four measures. Larger is better; all but density lie in [0, 1].

    Precision and recall: Kynkäänniemi et al. 2019, eq. 2, k = 3. Density and coverage: Naeem et al. 2020, eq. 5, 6, k =
    5.
    """

    # The share of fakes inside a ball of a real sample.
    precision: float
    # The share of real samples inside a ball of a fake.
    recall: float
    # The mean number of real balls that a fake lies in, over k.
    density: float
    # The share of real samples whose ball holds a fake.
    coverage: float


def neighbourhood(fake: Float[Tensor, "n features"], real: Manifold) -> Neighbourhood:
    """Computes all four in one pass over the distances, in linear memory. Raises Unmeasurable for too few samples."""
    refuse_few(len(fake), "samples")
    (fake_radii,) = squared_radii(fake, (MANIFOLD_K,))
    precise, balls = 0, 0.0
    recalled = torch.zeros(len(real.points), device=fake.device)
    covered = torch.zeros_like(recalled)
    # Flags have the type of the distances, which takes a quarter of the time of booleans.
    every_flag = fake.new_empty(min(chunk_rows(_ROWS, fake), len(fake)), len(real.points))
    for part, distances in iterate_distances(fake, real.points):
        flags, reach = every_flag[: len(distances)], fake_radii[part]
        precise += torch.le(distances, real.radii, out=flags).sum(1).count_nonzero()
        recalled += torch.le(distances, reach[:, None], out=flags).sum(0)
        inside = torch.le(distances, real.density_radii, out=flags).sum(0)
        covered += inside
        balls += inside.double().sum()
    return Neighbourhood(
        precision=float(precise) / len(fake),
        recall=(recalled > 0).double().mean().item(),
        density=float(balls) / (DENSITY_K * len(fake)),
        coverage=(covered > 0).double().mean().item(),
    )


class PRDC(TwoSampleMetric):
    """Computes `precision`, `recall`, `density` and `coverage` of features, as `neighbourhood` does.

    Update both sides with as many rows, whose features are standardised: distances add them up. Keeps all features. See
    TwoSampleMetric.

    >>> import torch
    >>> metric = PRDC()
    >>> real = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    >>> metric.update(real, real=True)
    >>> metric.update(real + 100, real=False)
    >>> metric.compute()["coverage"]
    tensor(0., dtype=torch.float64)
    """

    higher_is_better = True
    plot_lower_bound = 0.0

    def derive(self, real: tuple[Tensor, ...]) -> Manifold:
        return manifold(*real)

    def compute(self) -> dict[str, Tensor]:
        real = self.derive_real()
        measured = neighbourhood(*self.get_rows(real=False), real)
        return {name: figure(value) for name, value in measured._asdict().items()}


def indices_by_class(classes: Int[Tensor, " n"], count: int = 0) -> tuple[Int[Tensor, " members"], ...]:
    """Returns the indices of each class's members in order, of at least `count` classes. Waits for the device once."""
    sizes = classes.bincount(minlength=count).tolist()
    return classes.argsort(stable=True).split(sizes) if sizes else ()


Balls = tuple[Tensor, Tensor]
"""Holds real points (n, features) of one class, and the squared radius (n,) of the ball round each."""


def class_balls(
    real: Float[Tensor, "n features"], classes: Int[Tensor, " n"], k: int = MANIFOLD_K
) -> tuple[Balls, ...]:
    """Computes the manifold of each class: balls that reach to the k-th neighbour within the class.

    A class without real samples has no balls. Raises Unmeasurable for a class with too few of them, or with no two that
    differ.
    """
    members = [real[places] for places in indices_by_class(classes)]
    for label, points in enumerate(members):
        if 0 < len(points) <= k:
            raise Unmeasurable(
                f"a class's real manifold needs the {k} nearest others of each example, and class {label} has only "
                f"{len(points)} real examples"
            )
        if len(points) and all_equal(points):
            raise Unmeasurable(f"all real examples of class {label} are the same")
    return tuple((points, *squared_radii(points, (k,))) for points in members)


def inside_class(
    fake: Float[Tensor, "n features"], classes: Int[Tensor, " n"], real: Sequence[Balls]
) -> Bool[Tensor, " n"]:
    """Returns whether each fake lies in a ball of a real sample of its own class."""
    inside = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    for (points, radii), places in zip(real, indices_by_class(classes), strict=False):
        if len(points) and len(places):
            inside[places] = (squared_distances(fake[places], points) <= radii).any(1)
    return inside
