"""Every metric agrees with an independent implementation to a millionth, in float64."""

import numpy as np
import pytest
import torch

from metrics.memorization import nearest_of_class
from tests.soak.metrics import COMPARISONS, LABELS, LARGEST, OTHERS, X, Y, difference, principal_components


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_metric_agrees_with_another_implementation(name: str) -> None:
    assert difference(name) <= LARGEST


def test_a_difference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = COMPARISONS["kid (scikit-learn)"]()
    monkeypatch.setitem(COMPARISONS, "kid (scikit-learn)", lambda: (ours, theirs * (1 + 3e-6)))
    assert difference("kid (scikit-learn)") > LARGEST
    monkeypatch.setitem(COMPARISONS, "kid (scikit-learn)", lambda: (torch.zeros(3), np.zeros(2)))
    assert difference("kid (scikit-learn)") == np.inf


def test_the_principal_components_are_those_of_scikit_learn_in_the_precision_they_have() -> None:
    ours, theirs = principal_components()
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4)


def test_the_nearest_training_example_is_that_of_scikit_learn_in_the_precision_it_has() -> None:
    from sklearn.neighbors import NearestNeighbors

    ours = nearest_of_class(X, LABELS, Y, OTHERS)
    for label in range(4):
        known = NearestNeighbors(n_neighbors=1).fit(Y[label == OTHERS].numpy())
        theirs = known.kneighbors(X[label == LABELS].numpy())[0][:, 0] ** 2
        np.testing.assert_allclose(ours[label == LABELS].numpy(), theirs, rtol=1e-5)
