"""Fewer rows stand for all."""

import pytest
import torch

from metrics.thinning import thin


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
