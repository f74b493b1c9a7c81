"""Tests whether samples are copies: whether they lie nearer to training examples than fresh real examples do.

Distances are to training examples of a sample's own class. Leave out samples outside the real manifold: they are far
from everything, and would hide copies. Test examples that are also in training are left out too: they are not fresh,
and would make copies look usual. Meehan, Chaudhuri & Dasgupta 2020; Alaa et al. 2022, section 3 (authenticity).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.neighbours import iterate_distances
from metrics.ranking import probability_above
from metrics.two_sample import TwoSampleMetric, figure

# Of so many fresh real examples one may count as a copy; chosen, not tuned.
ONE_IN = 100
# A share of the mean squared distance from a class's mean: far above the rounding error of a copy's distance, and far
# below the distance of two different examples.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Memorization:
    """Compares distances to training examples: of samples, and of fresh real examples.

    Classes are weighted by their samples. Both measures raise Unmeasurable if no class is left.
    """

    # For each class that has both: the squared distances of its samples and of its fresh test examples.
    classes: tuple[tuple[Tensor, Tensor], ...]

    @property
    def probability(self) -> float:
        """The probability that a sample is nearer to training than a fresh example is, ties ½, averaged over samples.

        In [0, 1]: ½ for fresh real examples, 1 for copies, below ½ for samples far from the data; smaller is better
        down to ½.
        """
        if not self.classes:
            raise Unmeasurable("no class has both samples and test examples that are not in training")
        likely = sum(len(ours) * probability_above(-ours, -fresh) for ours, fresh in self.classes)
        return likely / sum(len(ours) for ours, _ in self.classes)

    @property
    def copies(self) -> float:
        """The share of samples that are at most as far as the j-th nearest of the k fresh examples of their class.

        j = ⌊(k + 1) / 100⌋. One more fresh example is among the j nearest of k + 1 with probability j / (k + 1),
        whatever the distribution: the share is at most 0.01 for fresh real examples, and 1 for copies; smaller is
        better. A class with fewer than 99 fresh examples, where j is 0, is left out.
        """
        classes = [(ours, fresh) for ours, fresh in self.classes if len(fresh) + 1 >= ONE_IN]
        if not classes:
            most = max((len(fresh) for _, fresh in self.classes), default=0)
            raise Unmeasurable(
                f"a copy is nearer than all but 1 in {ONE_IN} fresh examples, which takes {ONE_IN - 1} test examples "
                f"of a class that are not in training, and no class has more than {most}"
            )
        copied = sum(int((ours <= fresh.kthvalue((len(fresh) + 1) // ONE_IN).values).sum()) for ours, fresh in classes)
        return copied / sum(len(ours) for ours, _ in classes)


def nearest_of_class(
    points: Num[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    train: Num[Tensor, "m features"],
    train_classes: Int[Tensor, " m"],
) -> Float[Tensor, " n"]:
    """Returns each point's squared distance to the nearest training example of its class; infinite without one.

    The distance of a copy is 0, however its values were rounded. Integer pixels become float32 class by class, so
    memory stays small.
    """
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    for label in classes.unique():
        known, members = train[train_classes == label].float(), classes == label
        if len(known):
            nearest[members] = find_nearest(points[members].float(), known)[0]
    return nearest


def find_nearest(
    points: Float[Tensor, "n features"], train: Float[Tensor, "m features"]
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Returns each point's squared distance to the nearest training example, 0 for a copy, and which one that is."""
    # Centred, so that expanded squares cancel fewer digits.
    mean = train.mean(0)
    known, ours = train - mean, points - mean
    found, index = ours.new_empty(len(ours)), torch.empty(len(ours), dtype=torch.int64, device=ours.device)
    for part, distances in iterate_distances(ours, known):
        # The expanded square finds the nearest one; the difference gives its distance.
        index[part] = distances.argmin(1)
        found[part] = (ours[part] - known[index[part]]).square().sum(1)
    return found.where(found > _ROUNDING * known.square().sum(1).mean(), 0), index


def memorization(
    near: Float[Tensor, " n"],
    classes: Int[Tensor, " n"],
    usual: Float[Tensor, " k"],
    test_classes: Int[Tensor, " k"],
) -> Memorization:
    """Pairs the nearest distances of samples with those of test examples, class by class.

    near: of the samples. usual: of the test examples. A class without training examples, or without test examples that
    are not in training, is left out.
    """
    pairs = []
    for label in classes.unique():
        fresh = usual[(test_classes == label) & (usual > 0)]
        if len(fresh) and bool(fresh.isfinite().all()):
            pairs.append((near[classes == label], fresh))
    return Memorization(tuple(pairs))


class _Distances(TwoSampleMetric):
    """Keeps distances to training examples, and classes."""

    rows = ("distances", "classes")
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)

    def update(self, distances: Tensor, classes: Tensor, real: bool) -> None:
        """Adds squared distances (batch,) to the nearest training example, as of `nearest_of_class`, and classes."""
        self.add_rows(real, distances, classes)

    def _compare(self) -> Memorization:
        return memorization(*self.get_rows(real=False), *self.get_rows(real=True))

    @abstractmethod
    def compute(self) -> Tensor: ...


class MemorizationProbability(_Distances):
    """Computes the probability that a sample is nearer to training than a fresh real example, as `Memorization` does.

    Keeps distances and classes. See TwoSampleMetric.

    >>> import torch
    >>> metric = MemorizationProbability()
    >>> training, fresh = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [1.5]])
    >>> classes = torch.zeros(2, dtype=torch.long)
    >>> metric.update(nearest_of_class(fresh, classes, training, classes), classes, real=True)
    >>> metric.update(nearest_of_class(training, classes, training, classes), classes, real=False)
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
    """

    def compute(self) -> Tensor:
        return figure(self._compare().probability)


class Copies(_Distances):
    """Computes the share of samples nearer to training than 99 % of fresh real examples are, as `Memorization` does.

    Keeps distances and classes. See TwoSampleMetric; update it as MemorizationProbability.

    >>> import torch
    >>> metric, classes = Copies(), torch.zeros(200, dtype=torch.long)
    >>> metric.update(torch.arange(1.0, 201), classes, real=True)
    >>> metric.update(torch.arange(0.0, 200), classes, real=False)
    >>> metric.compute()
    tensor(0.0150, dtype=torch.float64)
    """

    def compute(self) -> Tensor:
        return figure(self._compare().copies)
