"""Counts samples that a pinned classifier assigns to the class that was asked for: GAN-test.

In [0, 1], larger is better. It saturates at the value for real test images, the accuracy of the classifier itself.
Shmelkov et al. 2018, section 3.
"""

from jaxtyping import Float, Int
from torch import Tensor


def accuracy(predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"]) -> float:
    """Returns the share of samples whose predicted class is their label."""
    return (predictions == labels).double().mean().item()


def accuracy_by_class(
    predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"], classes: int
) -> Float[Tensor, " classes"]:
    """Returns the accuracy for the samples of each label; NaN for a label that no sample has."""
    right = (predictions == labels).double()
    asked = right.new_zeros(classes).index_add_(0, labels, right.new_ones(len(right)))
    return right.new_zeros(classes).index_add_(0, labels, right) / asked
