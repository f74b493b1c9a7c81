"""Spread within a class: what finds out a generator that makes one perfect seven.

For each class, the mean distance between two samples of it, over that between two real ones. Range [0, ∞), 1 for a
perfect generator, larger is better; noise can raise it above 1, so only samples inside the class's real
manifold should be given. The ratio is this project's own; compare Odena et al. 2017, section 4.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metrics.neighbours import squared_distances


def mean_distance(points: Float[Tensor, "samples features"]) -> float:
    """Mean Euclidean distance between two different points; NaN for fewer than two."""
    n = len(points)
    total = squared_distances(points, points).sqrt().double().fill_diagonal_(0).sum().item()
    return total / (n * (n - 1)) if n > 1 else float("nan")


def class_diversity(
    fake: Float[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    real: Float[Tensor, "m features"],
    real_classes: Int[Tensor, " m"],
    count: int,
    expected: int,
) -> Float[Tensor, " classes"]:
    """The ratio for each of `count` classes; NaN for a class that has fewer than two real samples.

    A class with fewer than a tenth of its share of the `expected` samples is taken as having no diversity, 0.
    """
    ratios = torch.full((count,), torch.nan, dtype=torch.float64)
    for label in range(count):
        members, ours = real[real_classes == label], fake[classes == label]
        if len(members) < 2:
            continue
        enough = len(ours) >= max(2, 0.1 * expected * len(members) / len(real))
        ratios[label] = mean_distance(ours) / mean_distance(members) if enough else 0.0
    return ratios
