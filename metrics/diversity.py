"""Spread within a class: what finds out a generator that makes one perfect seven.

For each class, the mean distance between two samples of it, over that between two real ones. Range [0, ∞), 1 for a
perfect generator, larger is better; noise can raise it above 1, so only samples inside the class's real
manifold should be given. The ratio is this project's own; compare Odena et al. 2017, section 4.2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.neighbours import all_equal, indices_by_class, iterate_distances


def mean_distance(points: Float[Tensor, "samples features"]) -> float:
    """Mean Euclidean distance between two different points; NaN for fewer than two. In memory linear in the points."""
    n, total = len(points), 0.0
    for part, distances in iterate_distances(points, points):
        own = torch.arange(len(distances), device=points.device)
        distances[own, part.start + own] = 0
        total += distances.clamp_min_(0).sqrt_().sum(dtype=torch.float64)
    return float(total) / (n * (n - 1)) if n > 1 else float("nan")


class ClassSpread(NamedTuple):
    """Of each class: how many samples it has, and the mean distance between two: NaN of fewer, 0 of equal ones."""

    counts: tuple[int, ...]
    distances: tuple[float, ...]


def spread(points: Float[Tensor, "samples features"], classes: Int[Tensor, " samples"], count: int) -> ClassSpread:
    """Of the first `count` classes."""
    places = indices_by_class(classes, count)[:count]

    def within(members: Float[Tensor, "samples features"]) -> float:
        # Expanded squares leave some distance between equal points.
        return 0.0 if len(members) > 1 and all_equal(members) else mean_distance(members)

    return ClassSpread(tuple(map(len, places)), tuple(within(points[members]) for members in places))


def class_diversity(fake: ClassSpread, real: ClassSpread, expected: int) -> Float[Tensor, " classes"]:
    """The ratio for each class; NaN for a class whose real samples have no spread: fewer than two, or all the same.

    real: computed once. A class with fewer than a tenth of its share of the `expected` samples is taken as having no
    diversity, 0. Raises Unmeasurable where no class has a ratio.
    """
    ratios = torch.full((len(real.counts),), torch.nan, dtype=torch.float64)
    for label, members in enumerate(real.counts):
        if real.distances[label] > 0:
            enough = fake.counts[label] >= max(2, 0.1 * expected * members / sum(real.counts))
            ratios[label] = fake.distances[label] / real.distances[label] if enough else 0.0
    if bool(ratios.isnan().all()):
        raise Unmeasurable("no class has two real examples that differ")
    return ratios
