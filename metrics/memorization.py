"""Whether samples are copies: they lie nearer to training examples than fresh real examples do.

Distances are taken to the training examples of a sample's own class, and samples outside the real manifold should be
left out: they are far from everything, which would hide copies among them. Meehan, Chaudhuri & Dasgupta 2020;
Alaa et al. 2022, section 3 (authenticity).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metrics.neighbours import squared_distances
from metrics.ranking import probability_above

COPY_QUANTILE = 0.01
_ROWS = 512


class Memorization(NamedTuple):
    """probability: P(a sample's nearest training distance < a test example's), ties ½, averaged over samples.

    In [0, 1]: ½ for fresh real examples, 1 for copies, below ½ for samples far from the data; smaller is better
    down to ½. copies: share of samples nearer than the first percentile of the test examples of their class; 0.01
    for fresh real examples, smaller is better. NaN where no class has both samples and test examples.
    """

    probability: float
    copies: float


def nearest_distance(points: Float[Tensor, "n features"], others: Float[Tensor, "m features"]) -> Float[Tensor, " n"]:
    """Squared distance of each point to the nearest of the others."""
    parts = [squared_distances(rows, others).min(1).values for rows in points.split(_ROWS)]
    return torch.cat(parts) if parts else points.new_zeros(0)


def memorization(
    fake: Float[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    train: Float[Tensor, "m features"],
    train_classes: Int[Tensor, " m"],
    test: Float[Tensor, "k features"],
    test_classes: Int[Tensor, " k"],
) -> Memorization:
    """Both figures, class by class, each class weighing as much as it has samples."""
    samples, probability, copies = 0, 0.0, 0.0
    for label in classes.unique():
        known, fresh, ours = train[train_classes == label], test[test_classes == label], fake[classes == label]
        if not len(known) or not len(fresh):
            continue
        near, usual = nearest_distance(ours, known), nearest_distance(fresh, known)
        samples += len(ours)
        probability += len(ours) * probability_above(-near, -usual)
        copies += (near < torch.quantile(usual, COPY_QUANTILE)).sum().item()
    return Memorization(probability / samples, copies / samples) if samples else Memorization(torch.nan, torch.nan)
