"""Holds the real side of every comparison: the reference split, and all that metrics need of it."""

import functools
import inspect
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmarks.datasets import Centres, Dataset, Split, StackedClasses
from metrics.base import Measurement
from metrics.captions import KINDS
from metrics.features import FrozenClassifier, Reading
from metrics.memorization import nearest_of_class
from metrics.modes import mode_counts
from metrics.neighbours import Balls, class_balls
from metrics.pixels import pixel_space
from metrics.thinning import thin

if TYPE_CHECKING:
    from collections.abc import Callable

    import torchmetrics

    from benchmarks.evaluation.samples import SampleSet

# Examples of each side where time and memory are quadratic in them; chosen, not tuned.
LARGEST_PAIRWISE = 10_000
# Images of a split that are in memory at once.
_IMAGES_AT_ONCE = 1000


class ReferenceSet:
    """Holds the torchmetrics metrics with their real side, and computes what that is, each on first use and once.

    split: the reference. classifiers: read the images, the deciding one first; without any, examples are their own
    features. samples: how many samples it is compared with. whole: the reference that this one is a part of; the two
    share what is computed from the training examples. inception: reads images as papers do, or None.
    """

    word_kinds = KINDS
    # Every real example looks real.
    inside = None

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        classifiers: tuple[FrozenClassifier, ...],
        samples: int,
        whole: "ReferenceSet | None" = None,
        inception: nn.Module | None = None,
    ) -> None:
        self.dataset, self.split, self.classifiers, self.samples = dataset, split, classifiers, samples
        self.modes, self.whole, self.inception = dataset.modes, whole, inception
        self._loaded: dict[Measurement, torchmetrics.Metric] = {}

    def select(self, indices: Tensor, samples: int) -> "ReferenceSet":
        """Returns these examples as a reference of their own, for so many samples."""
        part = ReferenceSet(self.dataset, self.split.select(indices), self.classifiers, samples, self, self.inception)
        part.raw_features_of_each = [features[indices] for features in self.raw_features_of_each]
        return part

    def measure(self, measurement: Measurement, samples: "SampleSet") -> Any:
        """Returns what a torchmetrics metric computes of samples. It gets the real side at its first use, once."""
        if measurement not in self._loaded:
            self._loaded[measurement] = self._load(measurement)
        metric = self._loaded[measurement]
        try:
            metric.update(*_views(measurement, samples), **({"real": False} if _compares(metric) else {}))
            return metric.compute()
        finally:
            metric.reset()

    def _load(self, measurement: Measurement) -> "torchmetrics.Metric":
        arguments = {name: attrgetter(attribute)(self) for name, attribute in measurement.arguments}
        metric = measurement.create(**arguments).to(self.split.data.device)
        if _compares(metric):
            metric.reset_real_features = False
            metric.update(*_views(measurement, self), real=True)
        return metric

    def read(self, images: Tensor, which: int = 0) -> Reading:
        """Returns what one classifier reads; without any, the values themselves are the features."""
        if not self.classifiers:
            return Reading(images.flatten(1), None, None)
        return self.classifiers[which].read(images)

    def standardize(self, features: Tensor, which: int = 0) -> Tensor:
        return self.classifiers[which].standardize(features) if self.classifiers else features

    def nearest_training(self, points: Tensor, classes: Tensor, training: Tensor) -> Tensor:
        """Returns squared distances to the nearest training example of the same class."""
        return nearest_of_class(points, classes, training, self.dataset.train.labels.to(points.device))

    @cached_property
    def images(self) -> Tensor:
        return self.split.images(slice(None))

    @property
    def labels(self) -> Tensor | None:
        return self.split.labels

    @property
    def classes(self) -> Tensor:
        """The classes: the labels."""
        return self.split.labels

    @property
    def inside_classes(self) -> Tensor:
        """The classes of the examples that look real: of all."""
        return self.split.labels

    @cached_property
    def raw_features_of_each(self) -> list[Tensor]:
        """Raw features, one tensor a classifier."""
        return [self.read(self.images, which).features for which in range(max(1, len(self.classifiers)))]

    @property
    def raw_features(self) -> Tensor:
        """Raw features by the deciding classifier."""
        return self.raw_features_of_each[0]

    @cached_property
    def features(self) -> Tensor:
        """Standardised features by the deciding classifier."""
        return self.standardize(self.raw_features)

    @property
    def features_of_each(self) -> list[Tensor]:
        """Standardised features, one tensor a classifier."""
        return [self.standardize(features, which) for which, features in enumerate(self.raw_features_of_each)]

    @property
    def extractor_count(self) -> int:
        return len(self.raw_features_of_each)

    @property
    def pairwise_features(self) -> Tensor:
        """Standardised features of so many examples that all pairs can be compared."""
        return thin(self.features, LARGEST_PAIRWISE, self.split.labels)

    @cached_property
    def manifold_features(self) -> Tensor:
        """Standardised features of at most as many examples as there are samples."""
        return thin(self.features, min(self.samples, LARGEST_PAIRWISE), self.split.labels)

    @cached_property
    def balls(self) -> tuple[Balls, ...]:
        """The manifold of each class."""
        return class_balls(self.features, self.split.labels)

    @property
    def pixel_coordinates(self) -> "Callable[[Tensor], Tensor]":
        """The projection of images on the principal components of the examples."""
        return pixel_space(self.images).coordinates

    @property
    def disc_radius(self) -> float:
        """The radius of the disc round a centre whose samples count for the mode."""
        return self.modes.disc * self.modes.sigma

    @cached_property
    def mode_counts(self) -> Tensor:
        """How often each mode occurs: in theory where that is known, else in the reference.

        The centres of a mixture are equally likely, and the channels of a stack are drawn independently.
        """
        if isinstance(self.modes, Centres):
            return torch.ones(len(self.modes.points), dtype=torch.float64)
        if isinstance(self.modes, StackedClasses):
            one = mode_counts(self.split.digits, self.modes.classes)
            return functools.reduce(torch.kron, [one] * self.modes.channels)
        return mode_counts(self.split.labels, self.modes.count)

    @property
    def mode_count(self) -> int:
        return len(self.mode_counts)

    @cached_property
    def training_features(self) -> Tensor:
        """Standardised features of the training examples, read in parts: their images are never all in memory."""
        if self.whole:
            return self.whole.training_features
        train, place = self.dataset.train, self.split.data.device
        # As wide as the features of the reference, which has no dead units.
        features = self.features.new_empty(len(train), self.features.shape[1])
        for part in torch.arange(len(train)).split(_IMAGES_AT_ONCE):
            features[part] = self.standardize(self.read(train.images(part).to(place)).features)
        return features

    @cached_property
    def training_pixels(self) -> Tensor:
        """Values of the training examples, as stored."""
        return self.dataset.train.data.flatten(1).to(self.split.data.device)

    @cached_property
    def feature_distances(self) -> Tensor:
        """Squared distances of the examples to the nearest training example of their class, in features."""
        return self.nearest_training(self.features, self.split.labels, self.training_features)

    @cached_property
    def pixel_distances(self) -> Tensor:
        """The same in pixels."""
        return self.nearest_training(self.split.data.flatten(1), self.split.labels, self.training_pixels)


def _views(measurement: Measurement, side: "ReferenceSet | SampleSet") -> list[Any]:
    return [getattr(side, view) for view in measurement.views]


def _compares(metric: "torchmetrics.Metric") -> bool:
    """Whether a metric has a real side."""
    return "real" in inspect.signature(metric.update).parameters
