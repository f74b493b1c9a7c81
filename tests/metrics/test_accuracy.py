"""Accuracy against torchmetrics and its definition."""

import math

import pytest
import torch

from metrics import ClassAccuracy


def test_accuracy_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy

    drawn = torch.Generator().manual_seed(0)
    labels, predictions = (torch.randint(7, (500,), generator=drawn) for _ in range(2))
    predictions = torch.where(torch.rand(500, generator=drawn) < 0.6, labels, predictions)
    metric = ClassAccuracy(7)
    metric.update(predictions, labels)
    values = metric.compute()
    wanted = multiclass_accuracy(predictions, labels, 7, average="micro").item()
    assert values.pop("accuracy").item() == pytest.approx(wanted, rel=1e-6)
    torch.testing.assert_close(
        torch.stack(list(values.values())).float(), multiclass_accuracy(predictions, labels, 7, average="none")
    )


def test_accuracy_has_the_precision_of_float64() -> None:
    metric = ClassAccuracy(2)
    metric.update(torch.tensor([0, 0, 0]), torch.tensor([0, 0, 1]))
    assert metric.compute()["accuracy"].item() == 2 / 3


def test_accuracy_of_a_label_that_nobody_asked_for_is_not_a_number() -> None:
    metric = ClassAccuracy(3)
    metric.update(torch.tensor([0, 0, 2]), torch.tensor([0, 2, 2]))
    values = metric.compute()
    assert values["accuracy_class_0"] == 1.0
    assert math.isnan(values["accuracy_class_1"])
    assert values["accuracy_class_2"] == 0.5
