"""Examples are chosen with the label frequencies of the reference."""

import pytest
import torch

from benchmarks.datasets import Dataset, Split
from benchmarks.evaluation.matching import match_labels, match_reference
from variants.recipe import UserError


def test_as_many_samples_as_the_reference_get_its_own_labels(digits: Dataset) -> None:
    assert torch.equal(match_reference(digits.reference, 898), torch.arange(898))
    unlabelled = Split(digits.reference.data)
    assert torch.equal(match_reference(unlabelled, 2000), torch.arange(2000) % 898)


def test_a_split_without_a_label_of_the_reference_is_refused(digits: Dataset) -> None:
    kept = digits.train.labels != 4
    with pytest.raises(UserError, match="no example has label 4, which the reference has"):
        match_labels(Split(digits.train.data[kept], digits.train.labels[kept]), digits.reference, 100)
