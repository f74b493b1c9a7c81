"""benchmarks.evaluation.reference: TODO."""

import functools
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.datasets import Centres, Dataset, Split, StackedClasses
from benchmarks.evaluation.matching import thin
from metrics.diversity import ClassSpread, spread
from metrics.features import Channelwise, Extractor
from metrics.frechet import Moments, moments
from metrics.kernel import KernelSide, kernel_side
from metrics.memorization import nearest_of_class
from metrics.modes import (
    mode_counts,
)
from metrics.neighbours import Balls, Manifold, class_balls, manifold
from metrics.pixels import PixelSpace, pixel_space
from metrics.spectrum import contrasts, mean_power

FrozenClassifier = Extractor | Channelwise

BATCH = 1000
LARGEST_PAIRWISE = 10_000
"""Examples of each side in what takes time and memory quadratic in them; chosen, not tuned."""


class ReferenceSet:
    """The real side of every comparison: the reference split, and all that is computed from it once, when asked for.

    samples: how many it is compared with. whole: the real side that this one is a part of; they share what is computed
    from the training examples.
    """

    def __init__(
        self,
        dataset: Dataset,
        reference: Split,
        classifiers: tuple[FrozenClassifier, ...],
        samples: int,
        whole: "ReferenceSet | None" = None,
    ) -> None:
        self.dataset, self.split, self.classifiers, self.samples = dataset, reference, classifiers, samples
        self.modes, self.whole = dataset.modes, whole

    def part(self, indices: Tensor, samples: int) -> "ReferenceSet":
        """These examples of the reference as a real side of their own, for so many samples."""
        part = ReferenceSet(self.dataset, self.split.part(indices), self.classifiers, samples, whole=self)
        part.features = [features[indices] for features in self.features]
        return part

    def read(self, images: Tensor, judge: int = 0) -> tuple[Tensor, Tensor | None]:
        """Features and predicted classes; without a judge, the values themselves and None."""
        if not self.classifiers:
            return images.flatten(1), None
        return self.classifiers[judge].read(images)

    def standardize(self, features: Tensor, judge: int = 0) -> Tensor:
        return self.classifiers[judge].standardize(features) if self.classifiers else features

    @cached_property
    def images(self) -> Tensor:
        return self.split.images(slice(None))

    @cached_property
    def features(self) -> list[Tensor]:
        """Raw features, one tensor a judge."""
        return [self.read(self.images, judge)[0] for judge in range(max(1, len(self.classifiers)))]

    @cached_property
    def moments(self) -> Moments:
        return moments(self.features[0])

    @cached_property
    def standardized_moments(self) -> list[Moments]:
        return [moments(self.standardize(features, judge)) for judge, features in enumerate(self.features)]

    @cached_property
    def standardized_features(self) -> Tensor:
        """By the deciding judge."""
        return self.standardize(self.features[0])

    @cached_property
    def kernel(self) -> KernelSide:
        return kernel_side(thin(self.standardized_features, LARGEST_PAIRWISE, self.split.labels))

    @cached_property
    def manifold(self) -> Manifold:
        """Of no more reference examples than there are samples."""
        most = min(self.samples, LARGEST_PAIRWISE)
        return manifold(thin(self.standardized_features, most, self.split.labels))

    @cached_property
    def balls(self) -> tuple[Balls, ...]:
        """Of each class."""
        return class_balls(self.standardized_features, self.split.labels)

    @cached_property
    def spread(self) -> ClassSpread:
        return spread(self.standardized_features, self.split.labels, self.modes.count)

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
        """The contrast at each period."""
        return contrasts(self.power)

    @cached_property
    def mode_counts(self) -> Tensor:
        """How often each mode occurs: in the reference, or in theory where that is known.

        The centres of a mixture are equally likely, and the channels of a stack are drawn independently.
        """
        if isinstance(self.modes, Centres):
            return torch.ones(len(self.modes.points), dtype=torch.float64)
        if isinstance(self.modes, StackedClasses):
            one = mode_counts(self.split.digits, self.modes.classes)
            return functools.reduce(torch.kron, [one] * self.modes.channels)
        return mode_counts(self.split.labels, self.modes.count)

    def features_of(self, split: Split) -> Tensor:
        """Standardised features of a whole split, read in parts so that its images are never all in memory."""
        place = self.split.data.device
        # As wide as those of the reference: dead units are left out.
        features = self.standardized_features.new_empty(len(split), self.standardized_features.shape[1])
        for part in torch.arange(len(split)).split(BATCH):
            features[part] = self.standardize(self.read(split.images(part).to(place))[0])
        return features

    @cached_property
    def known_features(self) -> Tensor:
        """Of the training examples."""
        return self.whole.known_features if self.whole else self.features_of(self.dataset.train)

    @cached_property
    def known_pixels(self) -> Tensor:
        """Of the training examples, as whole numbers."""
        return self.dataset.train.data.flatten(1).to(self.split.data.device)

    @cached_property
    def usual_distances(self) -> Tensor:
        """Of each reference example to the nearest training example of its class, in features."""
        return self.nearest_known(self.standardized_features, self.split.labels, self.known_features)

    @cached_property
    def usual_pixel_distances(self) -> Tensor:
        """The same in pixels."""
        return self.nearest_known(self.split.data.flatten(1), self.split.labels, self.known_pixels)

    def nearest_known(self, points: Tensor, classes: Tensor, known: Tensor) -> Tensor:
        """Squared distances to the nearest training example of the same class."""
        return nearest_of_class(points, classes, known, self.dataset.train.labels.to(points.device))
