"""The classifier score against its definition and torchmetrics."""

import pytest
import torch

from metrics.base import Unmeasurable
from metrics.classifier_score import classifier_score
from tests.tensors import Identity, normal


def test_the_score_is_that_of_torchmetrics_without_splits() -> None:
    from torchmetrics.image import InceptionScore

    logits = 3 * normal(1, 400, 6)
    theirs = InceptionScore(feature=Identity(), splits=1)
    with torch.random.fork_rng():
        theirs.update(logits)
        assert classifier_score(logits) == pytest.approx(theirs.compute()[0].item(), rel=1e-6)


def test_the_score_counts_classes_that_are_sure_and_equally_likely() -> None:
    sure = 100 * torch.eye(5, dtype=torch.float64)
    assert classifier_score(sure[[0, 1, 2, 3] * 3]) == pytest.approx(4)
    # Whatever every sample is taken for, nothing is told apart.
    assert classifier_score(sure[[2] * 7]) == pytest.approx(1)
    assert classifier_score(torch.zeros(3, 5)) == pytest.approx(1)
    assert classifier_score(torch.full((7, 3), 0.1)) >= 1
    with pytest.raises(Unmeasurable, match="no sample"):
        classifier_score(torch.zeros(0, 5))
