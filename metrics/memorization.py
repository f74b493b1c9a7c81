"""Whether samples are copies: they lie nearer to training examples than fresh real examples do.

Distances are taken to the training examples of a sample's own class, and samples outside the real manifold should be
left out: they are far from everything, which would hide copies among them. Meehan, Chaudhuri & Dasgupta 2020;
Alaa et al. 2022, section 3 (authenticity).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from metrics.neighbours import distances_in_parts
from metrics.ranking import probability_above

COPY_QUANTILE = 0.01


class Memorization(NamedTuple):
    """probability: P(a sample's nearest training distance < a test example's), ties ½, averaged over samples.

    In [0, 1]: ½ for fresh real examples, 1 for copies, below ½ for samples far from the data; smaller is better
    down to ½. copies: share of samples nearer than the first percentile of the test examples of their class; 0.01
    for fresh real examples, smaller is better. NaN where no class has both samples and test examples.
    """

    probability: float
    copies: float


def nearest_of_class(
    points: Num[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    train: Num[Tensor, "m features"],
    train_classes: Int[Tensor, " m"],
) -> Float[Tensor, " n"]:
    """Squared distance of each point to the nearest training example of its class; infinite where there is none.

    Pixels may be given as whole numbers; they become float32 class by class, so memory stays small.
    """
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    for label in classes.unique():
        known, members = train[train_classes == label].float(), classes == label
        if len(known):
            # About the training mean, so that expanded squares cancel less.
            mean = known.mean(0)
            known -= mean
            ours = points[members].float() - mean
            found = ours.new_empty(len(ours))
            for part, distances in distances_in_parts(ours, known):
                found[part] = distances.amin(1)
            nearest[members] = found.clamp_min_(0)
    return nearest


def memorization(
    near: Float[Tensor, " n"],
    classes: Int[Tensor, " n"],
    usual: Float[Tensor, " k"],
    test_classes: Int[Tensor, " k"],
) -> Memorization:
    """Both figures from the nearest distances of samples and of test examples, class by class.

    Each class weighs as much as it has samples; one without training or test examples is left out.
    """
    samples, probability, copies = 0, 0.0, 0.0
    for label in classes.unique():
        ours, fresh = near[classes == label], usual[test_classes == label]
        if not len(fresh) or not bool(fresh.isfinite().all()):
            continue
        samples += len(ours)
        probability += len(ours) * probability_above(-ours, -fresh)
        copies += (ours < torch.quantile(fresh, COPY_QUANTILE)).sum().item()
    return Memorization(probability / samples, copies / samples) if samples else Memorization(torch.nan, torch.nan)
