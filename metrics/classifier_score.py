"""Scores how surely a classifier names samples, and how many classes it names: the Inception score, of any classifier.

In [1, classes], larger is better. It does not look at real data: one perfect image of each class has the largest score.
Salimans et al. 2016, section 4; with a classifier of MNIST it is known as the MNIST score.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric  # noqa: TID253 -- see two_sample.py
from torchmetrics.utilities import dim_zero_cat  # noqa: TID253

from metrics.base import Unmeasurable
from metrics.two_sample import as_module, figure


def classifier_score(logits: Float[Tensor, "samples classes"]) -> float:
    """Returns exp(mean KL(p(y|x) ‖ p(y))), of all samples at once. Raises Unmeasurable without samples."""
    if not len(logits):
        raise Unmeasurable("there is no sample")
    given = logits.double().log_softmax(1)
    overall = given.exp().mean(0)
    # The mean divergence is the entropy of the mean less the mean entropy.
    entropies = torch.special.entr(given.exp()).sum(1)
    # Below 0 by rounding alone.
    return (torch.special.entr(overall).sum() - entropies.mean()).clamp_min(0).exp().item()


class ClassifierScore(Metric):
    """Computes the score of a classifier's logits, as `classifier_score` does; `update` takes no `real`.

    torchmetrics' InceptionScore shuffles samples with the global random state, to split them, and works in float32.

    classifier: any callable from images to logits (batch, classes); None where `update` is given logits.

    >>> import torch
    >>> metric = ClassifierScore()
    >>> metric.update(100 * torch.eye(4))
    >>> metric.compute()
    tensor(4., dtype=torch.float64)
    """

    is_differentiable = False
    full_state_update = False
    higher_is_better = True
    plot_lower_bound = 1.0
    # The attribute that torchmetrics' FeatureShare shares.
    feature_network = "classifier"

    def __init__(self, classifier: Callable[..., Tensor] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classifier = as_module(classifier)
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, samples: Tensor) -> None:
        """Adds a batch of images or, without a classifier, of logits (batch, classes)."""
        self.logits = [*self.logits, self.classifier(samples)]

    def compute(self) -> Tensor:
        if not len(self.logits):
            raise Unmeasurable("there is no sample")
        return figure(classifier_score(dim_zero_cat(self.logits)))
