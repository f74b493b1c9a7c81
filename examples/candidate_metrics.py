"""A plugin: metrics that were considered, and notice no planted defect that the others do not.

    python -m benchmarks.defects --plugin examples/candidate_metrics.py --dataset digits mnist

docs/metrics.md gives the figures, and docs/plugins.md explains what a plugin can add.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metrics.base import Measurement, Metric, Unmeasurable
from metrics.frechet import Moments, frechet_distance, moments
from metrics.neighbours import indices_by_class
from metrics.two_sample import TwoSampleMetric, figure

# The most parts into which samples are divided to see how the bias falls; chosen, not tuned.
PARTS = 5


def extrapolate_distance(features: Tensor, real: Moments) -> float:
    """Returns the Fréchet distance that infinitely many samples would have: it may be below 0 by chance.

    The bias is proportional to 1/n, so a line through distances of n, n/2, … n/5 samples gives it. Every k-th sample
    makes a part, and the distances of k parts are averaged, so all samples count at every size and nothing is drawn.
    The bias of the real side stays. Chong & Forsyth 2020, section 4, whose samples are drawn. Raises Unmeasurable
    where a part has no more samples than there are features, since its covariance is singular.
    """
    n, width = features.shape
    if n <= PARTS * width:
        raise Unmeasurable(f"extrapolation takes more than {PARTS} samples for each of {width} features, not {n}")
    inverses, distances = [], []
    for parts in range(1, PARTS + 1):
        inverses.append(parts / n)
        each = [frechet_distance(moments(features[start::parts]), real) for start in range(parts)]
        distances.append(math.fsum(each) / parts)
    _, at_zero = np.polyfit(inverses, distances, 1)
    return float(at_zero)


class InfiniteFrechetDistance(TwoSampleMetric):
    """Computes the Fréchet distance that infinitely many samples would have, as `extrapolate_distance` does."""

    def derive(self, real: tuple[Tensor, ...]) -> Moments:
        return moments(*real)

    def compute(self) -> Tensor:
        return figure(extrapolate_distance(*self.get_rows(real=False), self.derive_real()))


class ClassFrechetDistance(TwoSampleMetric):
    """Computes the Fréchet distance within each class, between samples of a label and real examples.

    `compute` returns `fid_class_<k>` of each class, NaN for one with fewer than two rows on a side, and
    `fid_class_worst`, the largest. Samples may be right as a whole and wrong in each class (intra FID: Miyato & Koyama
    2018, section 5). Keeps features and labels. See TwoSampleMetric.

    classes: how many there are.
    """

    rows = ("features", "labels")
    plot_lower_bound = 0.0

    def __init__(self, classes: int, extractor: Callable[..., Tensor] | None = None, **kwargs: Any) -> None:
        super().__init__(extractor, **kwargs)
        self.classes = classes

    def update(self, samples: Tensor, labels: Tensor, real: bool) -> None:
        """Adds a batch of images, or features, with the label that each was asked for or, if real, has (batch,)."""
        self.add_rows(real, self.extractor(samples), labels)

    def derive(self, real: tuple[Tensor, ...]) -> list[Moments | None]:
        features, labels = real
        members = [features[places] for places in indices_by_class(labels, self.classes)[: self.classes]]
        return [moments(rows) if len(rows) > 1 else None for rows in members]

    def compute(self) -> dict[str, Tensor]:
        pairs = zip(self.derive(self.get_rows(real=False)), self.derive_real(), strict=True)
        values = [frechet_distance(ours, real) if ours and real else math.nan for ours, real in pairs]
        if not (measured := [value for value in values if not math.isnan(value)]):
            raise Unmeasurable("no class has two samples and two real examples")
        members = {f"fid_class_{label}": figure(value) for label, value in enumerate(values)}
        return {**members, "fid_class_worst": figure(max(measured))}


def vendi_score(features: Tensor) -> float:
    """Returns the number of effectively different rows of (samples, features), with the cosine as similarity.

    It is the exponential of the entropy of the eigenvalues of K/n, where K holds the cosine of each pair. K is a
    product of unit rows, so it has the eigenvalues of a matrix as wide as the features. Friedman & Dieng 2023, eq. 3.
    """
    rows = torch.nn.functional.normalize(features.double(), dim=1)
    values = torch.linalg.eigvalsh((rows.mT @ rows).cpu() / len(rows)).clamp_min(0)
    return torch.special.entr(values / values.sum()).sum().exp().item()


class VendiRatio(TwoSampleMetric):
    """Computes the Vendi score of samples over that of real examples."""

    higher_is_better = True

    def derive(self, real: tuple[Tensor, ...]) -> float:
        return vendi_score(*real)

    def compute(self) -> Tensor:
        return figure(vendi_score(*self.get_rows(real=False)) / self.derive_real())


_WITHIN = Measurement(ClassFrechetDistance, ("raw_features", "labels"), (("classes", "modes.count"),))
_ASKED = frozenset({"condition", "classes", "extractor"})
_MIYATO = "Miyato & Koyama 2018, sec. 5"

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "fid_infinite",
            "fid, extrapolated to infinitely many samples",
            "min",
            (-math.inf, math.inf),
            0.0,
            frozenset(),
            "Chong & Forsyth 2020, sec. 4",
            Measurement(InfiniteFrechetDistance, ("raw_features",)),
        ),
        Metric("fid_class", "fid of one class", "min", (0.0, math.inf), 0.0, _ASKED, _MIYATO, _WITHIN, family=True),
        Metric("fid_class_worst", "fid of the worst class", "min", (0.0, math.inf), 0.0, _ASKED, _MIYATO, _WITHIN),
        Metric(
            "vendi",
            "Vendi score over that of real examples, cosine of standardised features",
            "max",
            (0.0, math.inf),
            1.0,
            frozenset(),
            "Friedman & Dieng 2023, eq. 3",
            Measurement(VendiRatio, ("features",)),
        ),
    )
}
