"""benchmarks.evaluation.reference: TODO."""

import functools
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.datasets import Centres, Dataset, Split, Stacked
from benchmarks.evaluation.matching import thinned
from metrics.diversity import Spread, spread
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

Classifying = Extractor | Channelwise

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
        judges: tuple[Classifying, ...],
        samples: int,
        whole: "ReferenceSet | None" = None,
    ) -> None:
        self.dataset, self.reference, self.judges, self.samples = dataset, reference, judges, samples
        self.modes, self.whole = dataset.modes, whole

    def part(self, indices: Tensor, samples: int) -> "ReferenceSet":
        """These examples of the reference as a real side of their own, for so many samples."""
        part = ReferenceSet(self.dataset, self.reference.part(indices), self.judges, samples, whole=self)
        part.features = [features[indices] for features in self.features]
        return part

    def read(self, images: Tensor, judge: int = 0) -> tuple[Tensor, Tensor | None]:
        """Features and predicted classes; without a judge, the values themselves and None."""
        if not self.judges:
            return images.flatten(1), None
        return self.judges[judge].read(images)

    def standardized(self, features: Tensor, judge: int = 0) -> Tensor:
        return self.judges[judge].standardized(features) if self.judges else features

    @cached_property
    def images(self) -> Tensor:
        return self.reference.images(slice(None))

    @cached_property
    def features(self) -> list[Tensor]:
        """Raw features, one tensor a judge."""
        return [self.read(self.images, judge)[0] for judge in range(max(1, len(self.judges)))]

    @cached_property
    def moments(self) -> Moments:
        return moments(self.features[0])

    @cached_property
    def standardized_moments(self) -> list[Moments]:
        return [moments(self.standardized(features, judge)) for judge, features in enumerate(self.features)]

    @cached_property
    def standardized_features(self) -> Tensor:
        """By the deciding judge."""
        return self.standardized(self.features[0])

    @cached_property
    def kernel(self) -> KernelSide:
        return kernel_side(thinned(self.standardized_features, LARGEST_PAIRWISE, self.reference.labels))

    @cached_property
    def manifold(self) -> Manifold:
        """Of no more reference examples than there are samples."""
        most = min(self.samples, LARGEST_PAIRWISE)
        return manifold(thinned(self.standardized_features, most, self.reference.labels))

    @cached_property
    def balls(self) -> tuple[Balls, ...]:
        """Of each class."""
        return class_balls(self.standardized_features, self.reference.labels)

    @cached_property
    def spread(self) -> Spread:
        return spread(self.standardized_features, self.reference.labels, self.modes.count)

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
        if isinstance(self.modes, Stacked):
            one = mode_counts(self.reference.digits, self.modes.classes)
            return functools.reduce(torch.kron, [one] * self.modes.channels)
        return mode_counts(self.reference.labels, self.modes.count)

    def features_of(self, split: Split) -> Tensor:
        """Standardised features of a whole split, read in parts so that its images are never all in memory."""
        place = self.reference.data.device
        # As wide as those of the reference: dead units are left out.
        features = self.standardized_features.new_empty(len(split), self.standardized_features.shape[1])
        for part in torch.arange(len(split)).split(BATCH):
            features[part] = self.standardized(self.read(split.images(part).to(place))[0])
        return features

    @cached_property
    def known_features(self) -> Tensor:
        """Of the training examples."""
        return self.whole.known_features if self.whole else self.features_of(self.dataset.train)

    @cached_property
    def known_pixels(self) -> Tensor:
        """Of the training examples, as whole numbers."""
        return self.dataset.train.data.flatten(1).to(self.reference.data.device)

    @cached_property
    def usual_distances(self) -> Tensor:
        """Of each reference example to the nearest training example of its class, in features."""
        return self.nearest_known(self.standardized_features, self.reference.labels, self.known_features)

    @cached_property
    def usual_pixel_distances(self) -> Tensor:
        """The same in pixels."""
        return self.nearest_known(self.reference.data.flatten(1), self.reference.labels, self.known_pixels)

    def nearest_known(self, points: Tensor, classes: Tensor, known: Tensor) -> Tensor:
        """Squared distances to the nearest training example of the same class."""
        return nearest_of_class(points, classes, known, self.dataset.train.labels.to(points.device))
