"""Counts samples that a pinned classifier assigns to the class that was asked for: GAN-test.

In [0, 1], larger is better. It saturates at the value for real test images, the accuracy of the classifier itself.
Shmelkov et al. 2018, section 3.
"""

from torch import Tensor
from torchmetrics.classification import MulticlassStatScores  # noqa: TID253 -- see two_sample.py


class ClassAccuracy(MulticlassStatScores):
    """Computes `accuracy`, of all samples, and `accuracy_class_<k>`, of those of one label; NaN without any.

    torchmetrics counts. Its own MulticlassAccuracy divides in float32, and gives a label without samples accuracy 0.

    >>> import torch
    >>> metric = ClassAccuracy(3)
    >>> metric.update(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    >>> {name: value.item() for name, value in metric.compute().items() if name != "accuracy"}
    {'accuracy_class_0': 1.0, 'accuracy_class_1': 0.5, 'accuracy_class_2': nan}
    """

    def __init__(self, classes: int, **kwargs: object) -> None:
        super().__init__(num_classes=classes, average=None, validate_args=False, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        # Of each class: true positives, false positives, true negatives, false negatives, and samples of the label.
        right, *_, asked = super().compute().double().cpu().unbind(1)
        members = {f"accuracy_class_{label}": value for label, value in enumerate(right / asked)}
        return {"accuracy": right.sum() / asked.sum(), **members}
