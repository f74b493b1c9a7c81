"""Holds samples beside the reference: what every metric is computed from."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmarks.datasets import Centres
from benchmarks.evaluation.reference import LARGEST_PAIRWISE, ReferenceSet
from metrics.base import Measurement, Unmeasurable
from metrics.captions import caption_tokens
from metrics.features import Reading
from metrics.modes import high_quality, nearest_centres
from metrics.neighbours import inside_class
from metrics.thinning import thin


class SampleSet:
    """Computes what several metrics need of the samples, each on first use and once.

    An attribute that the ReferenceSet has too is the same of samples as it is there of real examples.

    images: the samples, (n, *shape) float32. labels: (n,), what the generator was asked for; None for an unconditional
    one. tokens: (n, words), the captions it was asked for, if any.
    """

    def __init__(
        self, reference: ReferenceSet, images: Tensor, labels: Tensor | None, tokens: Tensor | None = None
    ) -> None:
        self.reference, self.images, self.labels, self.tokens = reference, images, labels, tokens
        self._measured: dict[Measurement, Any] = {}

    def measure(self, measurement: Measurement) -> Any:
        """Returns what a torchmetrics metric computes of these samples, computed once. Raises Unmeasurable."""
        if measurement not in self._measured:
            self._measured[measurement] = self.reference.measure(measurement, self)
        return self._measured[measurement]

    @cached_property
    def _read(self) -> Reading:
        return self.reference.read(self.images)

    @property
    def raw_features(self) -> Tensor:
        """Features by the deciding classifier."""
        return self._read.features

    @cached_property
    def features(self) -> Tensor:
        """Standardised features by the deciding classifier."""
        return self.reference.standardize(self.raw_features)

    @property
    def features_of_each(self) -> list[Tensor]:
        """Standardised features, one tensor a classifier."""
        others = range(1, self.reference.extractor_count)
        read, standardize = self.reference.read, self.reference.standardize
        return [self.features, *(standardize(read(self.images, which).features, which) for which in others)]

    @property
    def pairwise_features(self) -> Tensor:
        """Standardised features of so many samples that all pairs can be compared."""
        return thin(self.features, LARGEST_PAIRWISE, self.labels)

    @property
    def manifold_features(self) -> Tensor:
        """Standardised features of as many samples as real examples."""
        return thin(self.features, len(self.reference.manifold_features), self.labels)

    @property
    def classes(self) -> Tensor:
        """The classes that the deciding classifier predicts."""
        return self._read.classes

    @property
    def logits(self) -> Tensor:
        """The logits of the deciding classifier."""
        return self._read.logits

    @cached_property
    def modes(self) -> Tensor:
        """The mode of each sample: its predicted class, or its nearest centre."""
        return self.nearest[0] if isinstance(self.reference.modes, Centres) else self.classes

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        """The nearest centre of each sample, and the distance to it."""
        return nearest_centres(self.images, self.reference.modes.points.to(self.images))

    @property
    def captured(self) -> Tensor | None:
        """Which samples capture their mode: of a mixture, those of high quality; else None, for all."""
        modes = self.reference.modes
        return high_quality(self.nearest[1], modes.sigma) if isinstance(modes, Centres) else None

    @cached_property
    def inside(self) -> Tensor:
        """Whether each sample lies in the real manifold of its predicted class: whether it looks real."""
        return inside_class(self.features, self.classes, self.reference.balls)

    @property
    def inside_classes(self) -> Tensor:
        """The predicted classes of the samples that look real."""
        return self.classes[self.inside]

    @cached_property
    def words_right(self) -> Tensor:
        """Whether each word of the requested caption is true of the sample; (n, words)."""
        return caption_tokens(self.images, self.classes, self.reference.dataset.captions.rule) == self.tokens

    @cached_property
    def held_out(self) -> Tensor:
        """Whether the requested caption was held out of training; (n,)."""
        return (self.tokens[:, None] == self.reference.dataset.captions.held_out.to(self.tokens)).all(2).any(1)

    @cached_property
    def feature_distances(self) -> Tensor:
        """Squared distances of those that look real to the nearest training example of their class, in features."""
        return self._distances(self.features, self.reference.training_features)

    @cached_property
    def pixel_distances(self) -> Tensor:
        """The same in pixels."""
        values = self.images.flatten(1)
        if self.reference.training_pixels.dtype == torch.uint8:  # grey levels, of which 255 is a sample's 1
            values = (values + 1) * 127.5
        return self._distances(values, self.reference.training_pixels)

    def _distances(self, values: Tensor, training: Tensor) -> Tensor:
        if not bool(self.inside.any()):
            raise Unmeasurable("no sample looks real")
        return self.reference.nearest_training(values[self.inside], self.inside_classes, training)
