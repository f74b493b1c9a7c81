"""Holds the real side of every comparison: the reference split, and all that metrics need of it."""

import functools
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.datasets import Centres, Dataset, Split, StackedClasses
from benchmarks.evaluation.matching import thin
from metrics.diversity import ClassSpread, class_spread
from metrics.features import FrozenClassifier
from metrics.frechet import Moments, moments
from metrics.kernel import KernelSide, kernel_side
from metrics.memorization import nearest_of_class
from metrics.modes import mode_counts
from metrics.neighbours import Balls, Manifold, class_balls, manifold
from metrics.pixels import PixelSpace, pixel_space
from metrics.spectrum import contrasts, mean_power

# Examples of each side where time and memory are quadratic in them; chosen, not tuned.
LARGEST_PAIRWISE = 10_000
# Images of a split that are in memory at once.
_IMAGES_AT_ONCE = 1000


class ReferenceSet:
    """Computes what metrics need of the reference split, each on first use and once.

    split: the reference. classifiers: read the images, the deciding one first; without any, examples are their own
    features. samples: how many samples it is compared with. whole: the reference that this one is a part of; the two
    share what is computed from the training examples.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        classifiers: tuple[FrozenClassifier, ...],
        samples: int,
        whole: "ReferenceSet | None" = None,
    ) -> None:
        self.dataset, self.split, self.classifiers, self.samples = dataset, split, classifiers, samples
        self.modes, self.whole = dataset.modes, whole

    def select(self, indices: Tensor, samples: int) -> "ReferenceSet":
        """Returns these examples as a reference of their own, for so many samples."""
        part = ReferenceSet(self.dataset, self.split.select(indices), self.classifiers, samples, whole=self)
        part.features = [features[indices] for features in self.features]
        return part

    def read(self, images: Tensor, which: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns features and predicted classes by one classifier; without any, the values themselves and None."""
        if not self.classifiers:
            return images.flatten(1), None
        return self.classifiers[which].read(images)

    def standardize(self, features: Tensor, which: int = 0) -> Tensor:
        return self.classifiers[which].standardize(features) if self.classifiers else features

    def nearest_training(self, points: Tensor, classes: Tensor, training: Tensor) -> Tensor:
        """Returns squared distances to the nearest training example of the same class."""
        return nearest_of_class(points, classes, training, self.dataset.train.labels.to(points.device))

    @cached_property
    def images(self) -> Tensor:
        return self.split.images(slice(None))

    @cached_property
    def features(self) -> list[Tensor]:
        """Raw features, one tensor a classifier."""
        return [self.read(self.images, which)[0] for which in range(max(1, len(self.classifiers)))]

    @cached_property
    def moments(self) -> Moments:
        return moments(self.features[0])

    @cached_property
    def standardized_moments(self) -> list[Moments]:
        return [moments(self.standardize(features, which)) for which, features in enumerate(self.features)]

    @cached_property
    def standardized_features(self) -> Tensor:
        """Standardised features by the deciding classifier."""
        return self.standardize(self.features[0])

    @cached_property
    def kernel(self) -> KernelSide:
        return kernel_side(thin(self.standardized_features, LARGEST_PAIRWISE, self.split.labels))

    @cached_property
    def manifold(self) -> Manifold:
        """The manifold of at most as many examples as there are samples."""
        most = min(self.samples, LARGEST_PAIRWISE)
        return manifold(thin(self.standardized_features, most, self.split.labels))

    @cached_property
    def balls(self) -> tuple[Balls, ...]:
        """The manifold of each class."""
        return class_balls(self.standardized_features, self.split.labels)

    @cached_property
    def spread(self) -> ClassSpread:
        return class_spread(self.standardized_features, self.split.labels, self.modes.count)

    @cached_property
    def pixels(self) -> tuple[PixelSpace, Moments]:
        space = pixel_space(self.images)
        return space, moments(space.coordinates(self.images))

    @cached_property
    def power(self) -> Tensor:
        """The mean power spectrum."""
        return mean_power(self.images)

    @cached_property
    def checkerboard(self) -> dict[int, float]:
        """The checkerboard contrast at each period."""
        return contrasts(self.power)

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

    @cached_property
    def training_features(self) -> Tensor:
        """Standardised features of the training examples, read in parts: their images are never all in memory."""
        if self.whole:
            return self.whole.training_features
        train, place = self.dataset.train, self.split.data.device
        # As wide as the features of the reference, which has no dead units.
        features = self.standardized_features.new_empty(len(train), self.standardized_features.shape[1])
        for part in torch.arange(len(train)).split(_IMAGES_AT_ONCE):
            features[part] = self.standardize(self.read(train.images(part).to(place))[0])
        return features

    @cached_property
    def training_pixels(self) -> Tensor:
        """Values of the training examples, as stored."""
        return self.dataset.train.data.flatten(1).to(self.split.data.device)

    @cached_property
    def feature_distances(self) -> Tensor:
        """Squared distances of the examples to the nearest training example of their class, in features."""
        return self.nearest_training(self.standardized_features, self.split.labels, self.training_features)

    @cached_property
    def pixel_distances(self) -> Tensor:
        """The same in pixels."""
        return self.nearest_training(self.split.data.flatten(1), self.split.labels, self.training_pixels)
