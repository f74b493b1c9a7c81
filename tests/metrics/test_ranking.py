"""Rank probabilities against the area under the curve and the count of pairs."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metrics.ranking import paired_probability_above, probability_above


def test_probability_above_agrees_with_the_area_under_the_curve() -> None:
    from sklearn.metrics import roc_auc_score

    drawn = torch.Generator().manual_seed(0)
    left, right = (torch.randint(10, (n,), generator=drawn).double() for n in (80, 130))
    truth = np.r_[np.ones(80), np.zeros(130)]
    wanted = roc_auc_score(truth, np.r_[left.numpy(), right.numpy()])
    assert probability_above(left + 0.0, right) == pytest.approx(wanted, rel=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_probability_above_counts_pairs(left: list[int], right: list[int]) -> None:
    x, y = torch.tensor(left).double(), torch.tensor(right).double()
    pairs = [(a > b) + 0.5 * (a == b) for a in left for b in right]
    assert probability_above(x, y) == pytest.approx(sum(pairs) / len(pairs))
    assert probability_above(x, y) + probability_above(y, x) == pytest.approx(1)
    assert probability_above(x.exp() / 100, y.exp() / 100) == pytest.approx(probability_above(x, y))


def test_label_use_compares_within_an_image() -> None:
    right, wrong = torch.tensor([5.0, -5.0]), torch.tensor([[4.0, 6.0], [-5.0, -6.0]])
    assert paired_probability_above(right, wrong) == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert math.isnan(probability_above(right[:0], right))
