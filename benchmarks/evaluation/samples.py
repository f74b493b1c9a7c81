"""benchmarks.evaluation.samples: TODO."""

from functools import cached_property

import torch
from torch import Tensor

from benchmarks.datasets import Centres
from benchmarks.evaluation.matching import thin
from benchmarks.evaluation.reference import LARGEST_PAIRWISE, ReferenceSet
from metrics.base import Unmeasurable
from metrics.captions import caption_tokens
from metrics.diversity import class_diversity, spread
from metrics.frechet import frechet_distance, moments
from metrics.kernel import Discrepancy, kernel_side, squared_mmd
from metrics.memorization import Memorization, memorization
from metrics.modes import (
    nearest_centres,
)
from metrics.neighbours import Neighbourhood, inside_class, neighbourhood
from metrics.spectrum import contrasts, mean_power


class SampleSet:
    """Samples beside the real side: what a metric is measured on. What several metrics need is computed once.

    samples: (n, *shape) float32. labels: (n,) that were asked for. tokens: (n, words) likewise, of captions. Both None
    where the generator was told nothing, or has nothing of the kind.
    """

    def __init__(
        self, real: ReferenceSet, samples: Tensor, labels: Tensor | None, tokens: Tensor | None = None
    ) -> None:
        self.reference, self.samples, self.labels, self.tokens = real, samples, labels, tokens

    @cached_property
    def _read(self) -> tuple[Tensor, Tensor | None]:
        return self.reference.read(self.samples)

    @cached_property
    def raw_features(self) -> Tensor:
        """Features by the deciding judge."""
        return self._read[0]

    @cached_property
    def features(self) -> Tensor:
        """The same, standardised."""
        return self.reference.standardize(self.raw_features)

    @property
    def classes(self) -> Tensor:
        """The classes that the judge takes the samples for."""
        return self._read[1]

    @cached_property
    def modes(self) -> Tensor:
        """The mode of each sample: its predicted class, or its nearest centre."""
        return self.nearest[0] if isinstance(self.reference.modes, Centres) else self.classes

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        return nearest_centres(self.samples, self.reference.modes.points.to(self.samples))

    @cached_property
    def inside(self) -> Tensor:
        """Which samples lie in the manifold of the real examples of their predicted class."""
        return inside_class(self.features, self.classes, self.reference.balls)

    @cached_property
    def distances(self) -> list[float]:
        """Fréchet distances between standardised features, one a judge."""
        result = []
        for judge, real in enumerate(self.reference.standardized_moments):
            raw = self.reference.read(self.samples, judge)[0] if judge else self.raw_features
            result.append(frechet_distance(moments(self.reference.standardize(raw, judge)), real))
        return result

    @cached_property
    def discrepancy(self) -> Discrepancy:
        return squared_mmd(kernel_side(thin(self.features, LARGEST_PAIRWISE, self.labels)), self.reference.kernel)

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """With as many samples as real examples."""
        real = self.reference.manifold
        return neighbourhood(thin(self.features, len(real.points), self.labels), real)

    @cached_property
    def diversities(self) -> Tensor:
        ours = spread(self.features[self.inside], self.classes[self.inside], self.reference.modes.count)
        return class_diversity(ours, self.reference.spread, len(self.samples))

    @cached_property
    def checkerboard(self) -> dict[int, float]:
        """At each period, how far the contrast lies above that of real images; below 0 samples lack power."""
        return {
            period: ours - self.reference.checkerboard[period]
            for period, ours in contrasts(mean_power(self.samples)).items()
        }

    @cached_property
    def words_right(self) -> Tensor:
        """(n, words): whether each word of the caption that was asked for is true of the sample."""
        return caption_tokens(self.samples, self.classes, self.reference.dataset.captions.rule) == self.tokens

    @cached_property
    def held_out(self) -> Tensor:
        """(n,) whether training never showed the caption that was asked for."""
        return (self.tokens[:, None] == self.reference.dataset.captions.held_out.to(self.tokens)).all(2).any(1)

    def agreement(self, asked: Tensor) -> float:
        """Share of these samples, (n,), that look real and of which the whole caption is true."""
        return share((self.words_right.all(1) & self.inside)[asked], NO_CAPTION)

    def _memorization(self, samples: Tensor, known: Tensor, usual: Tensor) -> Memorization:
        real, inside = self.reference, self.inside
        if not bool(inside.any()):
            raise Unmeasurable("no sample looks real")
        classes = self.classes[inside]
        return memorization(real.nearest_known(samples[inside], classes, known), classes, usual, real.split.labels)

    @cached_property
    def memorization(self) -> Memorization:
        return self._memorization(self.features, self.reference.known_features, self.reference.usual_distances)

    @cached_property
    def pixel_memorization(self) -> Memorization:
        samples = self.samples.flatten(1)
        if self.reference.known_pixels.dtype == torch.uint8:  # grey levels, of which 255 is a sample's 1
            samples = (samples + 1) * 127.5
        return self._memorization(samples, self.reference.known_pixels, self.reference.usual_pixel_distances)


NO_CAPTION = "no sample was asked for such a caption"


def share(flags: Tensor, nothing: str) -> float:
    """The share of flags, (n,), that are set. Raises Unmeasurable, with what `nothing` says, where there are none."""
    if not len(flags):
        raise Unmeasurable(nothing)
    return flags.double().mean().item()
