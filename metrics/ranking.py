"""Computes the probability that one score beats another: the area under the ROC curve, by ranks."""

import torch
from jaxtyping import Float
from torch import Tensor


def probability_above(left: Float[Tensor, " n"], right: Float[Tensor, " m"]) -> float:
    """Returns P(left > right) + ½ P(left = right) over all pairs. In [0, 1]; ½ for equal distributions. NaN if empty.

    One increasing function of both sides does not change it, so a discriminator cannot improve it by shrinking its
    logits. Mann & Whitney 1947. With scores of training and test examples it is the generalisation gap.
    """
    if not len(left) or not len(right):
        return float("nan")
    ordered = right.sort().values
    below = torch.searchsorted(ordered, left.contiguous())
    up_to = torch.searchsorted(ordered, left.contiguous(), right=True)
    return (below.double().sum() + up_to.double().sum()).item() / (2 * len(left) * len(right))


def paired_probability_above(right_scores: Float[Tensor, " n"], wrong_scores: Float[Tensor, "n others"]) -> float:
    """Returns P(right score > wrong score) over pairs within a row, ties ½: label use.

    right_scores: D(x, y) of each image with its own label; wrong_scores: D(x, y′) with each of the other labels. In
    [0, 1]; ½ for a discriminator that ignores labels. Pairs are of one image, because images differ in realness.
    """
    differences = right_scores[:, None] - wrong_scores
    return ((differences > 0).double() + (differences == 0).double() / 2).mean().item()
