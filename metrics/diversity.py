"""Compares the spread within a class with the real spread: it is low if a generator always makes the same seven.

For each class, the mean distance between two of its samples over the mean distance between two real ones. Range [0, ∞),
1 for a perfect generator, larger is better. Noise can raise it above 1, so pass only samples inside the class's real
manifold. The ratio is this project's own; compare Odena et al. 2017, section 4.2.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.neighbours import all_equal, indices_by_class, iterate_distances
from metrics.two_sample import TwoSampleMetric, figure


def mean_distance(points: Float[Tensor, "samples features"]) -> float:
    """Returns the mean Euclidean distance between two different points, in linear memory; NaN for fewer than two."""
    n, total = len(points), 0.0
    for part, distances in iterate_distances(points, points):
        own = torch.arange(len(distances), device=points.device)
        distances[own, part.start + own] = 0
        total += distances.clamp_min_(0).sqrt_().sum(dtype=torch.float64)
    return float(total) / (n * (n - 1)) if n > 1 else float("nan")


class ClassSpread(NamedTuple):
    """Holds for each class how many samples it has, and the mean distance between two of them."""

    counts: tuple[int, ...]
    # NaN for fewer than two samples, and 0 for equal ones.
    distances: tuple[float, ...]


def class_spread(
    points: Float[Tensor, "samples features"], classes: Int[Tensor, " samples"], count: int
) -> ClassSpread:
    """Measures the spread of the first `count` classes."""
    places = indices_by_class(classes, count)[:count]

    def within(members: Float[Tensor, "samples features"]) -> float:
        # Expanded squares leave a small distance between equal points.
        return 0.0 if len(members) > 1 and all_equal(members) else mean_distance(members)

    return ClassSpread(tuple(map(len, places)), tuple(within(points[members]) for members in places))


def class_diversity(fake: ClassSpread, real: ClassSpread, expected: int) -> Float[Tensor, " classes"]:
    """Returns the ratio for each class; NaN for a class without real spread: fewer than two examples, or equal ones.

    A class with fewer than a tenth of its share of the `expected` samples has diversity 0. Raises Unmeasurable if no
    class has a ratio.
    """
    ratios = torch.full((len(real.counts),), torch.nan, dtype=torch.float64)
    for label, members in enumerate(real.counts):
        if real.distances[label] > 0:
            enough = fake.counts[label] >= max(2, 0.1 * expected * members / sum(real.counts))
            ratios[label] = fake.distances[label] / real.distances[label] if enough else 0.0
    if bool(ratios.isnan().all()):
        raise Unmeasurable("no class has two real examples that differ")
    return ratios


class ClassDiversity(TwoSampleMetric):
    """Computes `diversity`, the mean of the classes' ratios of `class_diversity`, and `diversity_worst`, the least.

    Keeps features and classes. See TwoSampleMetric.

    classes: how many there are.

    >>> import torch
    >>> metric = ClassDiversity(2)
    >>> real, classes = torch.tensor([[0.0], [2.0], [10.0], [12.0]]), torch.tensor([0, 0, 1, 1])
    >>> metric.update(real, classes, real=True)
    >>> metric.update(torch.tensor([[0.0], [1.0], [10.0], [12.0]]), classes, real=False)
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'diversity': 0.75, 'diversity_worst': 0.5}
    """

    rows = ("features", "classes", "count")
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self, classes: int, extractor: Any = None, **kwargs: Any) -> None:
        super().__init__(extractor, **kwargs)
        self.classes = classes

    def update(self, samples: Tensor, classes: Tensor, inside: Tensor | None = None, *, real: bool) -> None:
        """Adds a batch of images, or features, with the class of each (batch,).

        inside: which of them look real, (batch,); the others count as made, but add no spread. None for all.
        """
        features, count = self.extractor(samples), torch.tensor([len(samples)], device=samples.device)
        every = slice(None) if inside is None else inside
        self.add_rows(real, features[every], classes[every], count)

    def derive(self, real: tuple[Tensor, ...]) -> ClassSpread:
        points, classes, _ = real
        return class_spread(points, classes, self.classes)

    def compute(self) -> dict[str, Tensor]:
        points, classes, counts = self.get_rows(real=False)
        ours = class_spread(points, classes, self.classes)
        ratios = class_diversity(ours, self.derive_real(), int(counts.sum()))
        return {
            "diversity": figure(ratios.nanmean().item()),
            "diversity_worst": figure(ratios[ratios.isfinite()].min().item()),
        }
