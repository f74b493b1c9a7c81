"""Whether a sample belongs to the class that was asked for, by a pinned classifier's word: GAN-test.

In [0, 1], larger is better; the value for real test images, the classifier's own accuracy, is the most that can be
expected, and it saturates there. Shmelkov et al. 2018, section 3 (GAN-test).
"""

from jaxtyping import Float, Int
from torch import Tensor


def accuracy(predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"]) -> float:
    """Share of samples whose predicted class is their label."""
    return (predictions == labels).double().mean().item()


def accuracy_by_class(
    predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"], classes: int
) -> Float[Tensor, " classes"]:
    """The same for the samples of each label; NaN for a label that no sample has."""
    right = (predictions == labels).double()
    asked = right.new_zeros(classes).index_add_(0, labels, right.new_ones(len(right)))
    return right.new_zeros(classes).index_add_(0, labels, right) / asked
