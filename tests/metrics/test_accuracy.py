"""Accuracy against torchmetrics."""

import math

import pytest
import torch

from metrics.accuracy import accuracy, accuracy_by_class


def test_accuracy_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy

    drawn = torch.Generator().manual_seed(0)
    labels, predictions = (torch.randint(7, (500,), generator=drawn) for _ in range(2))
    predictions = torch.where(torch.rand(500, generator=drawn) < 0.6, labels, predictions)
    assert accuracy(predictions, labels) == pytest.approx(
        multiclass_accuracy(predictions, labels, 7, average="micro").item(), rel=1e-6
    )
    torch.testing.assert_close(
        accuracy_by_class(predictions, labels, 7).float(),
        multiclass_accuracy(predictions, labels, 7, average="none"),
    )


def test_accuracy_of_a_label_that_nobody_asked_for_is_not_a_number() -> None:
    by_class = accuracy_by_class(torch.tensor([0, 0, 2]), torch.tensor([0, 2, 2]), 3).tolist()
    assert by_class[0] == 1.0
    assert math.isnan(by_class[1])
    assert by_class[2] == 0.5
