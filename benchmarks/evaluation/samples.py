"""Holds samples beside the reference: what every metric is computed from."""

from functools import cached_property

import torch
from torch import Tensor

from benchmarks.datasets import Centres
from benchmarks.evaluation.matching import thin
from benchmarks.evaluation.reference import LARGEST_PAIRWISE, ReferenceSet
from metrics.base import Unmeasurable
from metrics.captions import caption_tokens
from metrics.diversity import class_diversity, class_spread
from metrics.frechet import frechet_distance, moments
from metrics.kernel import Discrepancy, kernel_side, squared_mmd
from metrics.memorization import Memorization, memorization
from metrics.modes import nearest_centres
from metrics.neighbours import Neighbourhood, inside_class, neighbourhood
from metrics.spectrum import contrasts, mean_power


class SampleSet:
    """Computes what several metrics need of the samples, each on first use and once.

    samples: (n, *shape) float32. labels: (n,), what the generator was asked for; None for an unconditional one.
    tokens: (n, words), the captions it was asked for, if any.
    """

    def __init__(
        self, reference: ReferenceSet, samples: Tensor, labels: Tensor | None, tokens: Tensor | None = None
    ) -> None:
        self.reference, self.samples, self.labels, self.tokens = reference, samples, labels, tokens

    @cached_property
    def _read(self) -> tuple[Tensor, Tensor | None]:
        return self.reference.read(self.samples)

    @cached_property
    def raw_features(self) -> Tensor:
        """Features by the deciding classifier."""
        return self._read[0]

    @cached_property
    def features(self) -> Tensor:
        """Standardised features by the deciding classifier."""
        return self.reference.standardize(self.raw_features)

    @property
    def classes(self) -> Tensor:
        """The classes that the deciding classifier predicts."""
        return self._read[1]

    @cached_property
    def modes(self) -> Tensor:
        """The mode of each sample: its predicted class, or its nearest centre."""
        return self.nearest[0] if isinstance(self.reference.modes, Centres) else self.classes

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        """The nearest centre of each sample, and the distance to it."""
        return nearest_centres(self.samples, self.reference.modes.points.to(self.samples))

    @cached_property
    def inside(self) -> Tensor:
        """Whether each sample lies in the real manifold of its predicted class: whether it looks real."""
        return inside_class(self.features, self.classes, self.reference.balls)

    @cached_property
    def distances(self) -> list[float]:
        """Fréchet distances of standardised features, one a classifier."""
        result = []
        for which, real in enumerate(self.reference.standardized_moments):
            raw = self.reference.read(self.samples, which)[0] if which else self.raw_features
            result.append(frechet_distance(moments(self.reference.standardize(raw, which)), real))
        return result

    @cached_property
    def discrepancy(self) -> Discrepancy:
        return squared_mmd(kernel_side(thin(self.features, LARGEST_PAIRWISE, self.labels)), self.reference.kernel)

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """Precision, recall, density and coverage, of as many samples as real examples."""
        real = self.reference.manifold
        return neighbourhood(thin(self.features, len(real.points), self.labels), real)

    @cached_property
    def diversities(self) -> Tensor:
        """The diversity of each class, among samples that look real."""
        ours = class_spread(self.features[self.inside], self.classes[self.inside], self.reference.modes.count)
        return class_diversity(ours, self.reference.spread, len(self.samples))

    @cached_property
    def checkerboard(self) -> dict[int, float]:
        """At each period, the contrast above that of real images; below 0 samples lack power."""
        return {
            period: ours - self.reference.checkerboard[period]
            for period, ours in contrasts(mean_power(self.samples)).items()
        }

    @cached_property
    def words_right(self) -> Tensor:
        """Whether each word of the requested caption is true of the sample; (n, words)."""
        return caption_tokens(self.samples, self.classes, self.reference.dataset.captions.rule) == self.tokens

    @cached_property
    def held_out(self) -> Tensor:
        """Whether the requested caption was held out of training; (n,)."""
        return (self.tokens[:, None] == self.reference.dataset.captions.held_out.to(self.tokens)).all(2).any(1)

    def caption_share(self, flags: Tensor) -> float:
        """Returns the share of flags, (m,), that are set. Raises Unmeasurable without flags."""
        if not len(flags):
            raise Unmeasurable("no sample was asked for such a caption")
        return flags.double().mean().item()

    def agreement(self, asked: Tensor) -> float:
        """Returns the share of these samples, (n,), that look real and match their whole caption."""
        return self.caption_share((self.words_right.all(1) & self.inside)[asked])

    @cached_property
    def memorization(self) -> Memorization:
        """Memorisation in features."""
        return self._memorization(self.features, self.reference.training_features, self.reference.feature_distances)

    @cached_property
    def pixel_memorization(self) -> Memorization:
        """Memorisation in pixels."""
        samples = self.samples.flatten(1)
        if self.reference.training_pixels.dtype == torch.uint8:  # grey levels, of which 255 is a sample's 1
            samples = (samples + 1) * 127.5
        return self._memorization(samples, self.reference.training_pixels, self.reference.pixel_distances)

    def _memorization(self, samples: Tensor, training: Tensor, fresh: Tensor) -> Memorization:
        reference, inside = self.reference, self.inside
        if not bool(inside.any()):
            raise Unmeasurable("no sample looks real")
        classes = self.classes[inside]
        near = reference.nearest_training(samples[inside], classes, training)
        return memorization(near, classes, fresh, reference.split.labels)
