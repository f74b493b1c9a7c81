"""Examples are chosen with the label frequencies of the reference."""

import pytest
import torch

from benchmarks.datasets import Dataset, Split
from benchmarks.evaluation.matching import match_labels, match_reference, thin
from variants.recipe import UserError


def test_as_many_samples_as_the_reference_get_its_own_labels(digits: Dataset) -> None:
    assert torch.equal(match_reference(digits.reference, 898), torch.arange(898))
    unlabelled = Split(digits.reference.data)
    assert torch.equal(match_reference(unlabelled, 2000), torch.arange(2000) % 898)


def test_a_split_without_a_label_of_the_reference_is_refused(digits: Dataset) -> None:
    kept = digits.train.labels != 4
    with pytest.raises(UserError, match="no example has label 4, which the reference has"):
        match_labels(Split(digits.train.data[kept], digits.train.labels[kept]), digits.reference, 100)


def test_rows_are_thinned_evenly() -> None:
    rows = torch.arange(10)[:, None]
    assert thin(rows, 5).flatten().tolist() == [0, 2, 4, 6, 8]
    assert thin(rows, 20) is rows


@pytest.mark.parametrize("order", ["in turn", "sorted", "random"])
def test_thinned_rows_keep_the_share_of_each_label(order: str) -> None:
    """Every second of labels that come in turn would be half of them; the first half of sorted ones likewise."""
    labels = torch.arange(1000) % 10
    labels = {"in turn": labels, "sorted": labels.sort().values, "random": labels[torch.randperm(1000)]}[order]
    for most in (500, 333, 20):
        counts = thin(labels, most, labels).bincount(minlength=10)
        assert counts.sum() == most
        assert (counts - most / 10).abs().max() < 1
    places = thin(torch.arange(1000), 500, labels)
    assert torch.equal(places, places.sort().values)
