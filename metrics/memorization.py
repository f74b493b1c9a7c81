"""Whether samples are copies: they lie nearer to training examples than fresh real examples do.

Distances are taken to the training examples of a sample's own class, and samples outside the real manifold should be
left out: they are far from everything, which would hide copies among them. Meehan, Chaudhuri & Dasgupta 2020;
Alaa et al. 2022, section 3 (authenticity).

A test example that is itself in training is not fresh: kept, it would make copies look usual. It is left out too.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.neighbours import iterate_distances
from metrics.ranking import probability_above

ONE_IN = 100
"""Of so many fresh real examples one may be called a copy; chosen, not tuned."""
# Share of the mean squared distance from a class's mean: far above what rounding leaves of a copy, and far below what
# tells two examples apart.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Memorization:
    """How near samples lie to training examples, beside fresh real examples.

    classes: for each class that has both, the squared distances of its samples and of its fresh test examples. Both
    figures weigh a class by its samples, and raise Unmeasurable where no class is left.
    """

    classes: tuple[tuple[Tensor, Tensor], ...]

    @property
    def probability(self) -> float:
        """P(a sample's nearest training distance < a fresh example's), ties ½, averaged over samples.

        In [0, 1]: ½ for fresh real examples, 1 for copies, below ½ for samples far from the data; smaller is better
        down to ½.
        """
        if not self.classes:
            raise Unmeasurable("no class has both samples and test examples that are not in training")
        likely = sum(len(ours) * probability_above(-ours, -fresh) for ours, fresh in self.classes)
        return likely / sum(len(ours) for ours, _ in self.classes)

    @property
    def copies(self) -> float:
        """Share of samples no farther than the j-th nearest of k fresh examples of their class, j = ⌊(k + 1) / 100⌋.

        One more fresh example is among the j nearest of k + 1 with probability j / (k + 1), whatever the distribution.
        So it is at most 0.01 for fresh real examples; 1 for copies; smaller is better. A class with fewer than 99 fresh
        examples, of which j is 0, is left out.
        """
        told = [(ours, fresh) for ours, fresh in self.classes if len(fresh) + 1 >= ONE_IN]
        if not told:
            most = max((len(fresh) for _, fresh in self.classes), default=0)
            raise Unmeasurable(
                f"a copy is nearer than all but 1 in {ONE_IN} fresh examples, which takes {ONE_IN - 1} test examples "
                f"of a class that are not in training, and no class has more than {most}"
            )
        copied = sum(int((ours <= fresh.kthvalue((len(fresh) + 1) // ONE_IN).values).sum()) for ours, fresh in told)
        return copied / sum(len(ours) for ours, _ in told)


def nearest_of_class(
    points: Num[Tensor, "n features"],
    classes: Int[Tensor, " n"],
    train: Num[Tensor, "m features"],
    train_classes: Int[Tensor, " m"],
) -> Float[Tensor, " n"]:
    """Squared distance of each point to the nearest training example of its class; infinite where there is none.

    That of a copy is 0, however its values were rounded. Pixels may be given as whole numbers; they become float32
    class by class, so memory stays small.
    """
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    for label in classes.unique():
        known, members = train[train_classes == label].float(), classes == label
        if len(known):
            # About the training mean, so that expanded squares cancel less.
            mean = known.mean(0)
            known -= mean
            ours = points[members].float() - mean
            found = ours.new_empty(len(ours))
            for part, distances in iterate_distances(ours, known):
                # The expanded square tells which one is nearest, and the difference how near: that of a copy is 0.
                found[part] = (ours[part] - known[distances.argmin(1)]).square().sum(1)
            nearest[members] = found.where(found > _ROUNDING * known.square().sum(1).mean(), 0)
    return nearest


def memorization(
    near: Float[Tensor, " n"],
    classes: Int[Tensor, " n"],
    usual: Float[Tensor, " k"],
    test_classes: Int[Tensor, " k"],
) -> Memorization:
    """Puts the nearest distances of samples beside those of test examples, class by class.

    A class without training examples, or without test examples that are not in training, is left out.
    """
    pairs = []
    for label in classes.unique():
        fresh = usual[(test_classes == label) & (usual > 0)]
        if len(fresh) and bool(fresh.isfinite().all()):
            pairs.append((near[classes == label], fresh))
    return Memorization(tuple(pairs))
