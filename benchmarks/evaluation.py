"""A generator, judged: every metric that applies, each with its value on real data under the same protocol.

Samples are compared with the dataset's reference split. They are given its labels: its own where there are as many
samples as it has examples, else labels of the same frequencies; always the same ones, in the same order. Metrics
marked "each" in their record are measured at every evaluation, those marked "final" at the last one.
"""

import functools
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from hashlib import sha256

import torch
from torch import Tensor

from benchmarks.algorithm.random_streams import stream
from benchmarks.datasets import Centres, Classes, Dataset, Split, Stacked
from benchmarks.extractors import judges_of
from metrics import gan_train as gan_training
from metrics.accuracy import accuracy, accuracy_by_class
from metrics.captions import captions
from metrics.diversity import Spread, class_diversity, spread
from metrics.features import Channelwise, Extractor
from metrics.frechet import Moments, frechet_distance, geometric_mean, moments
from metrics.kernel import Discrepancy, KernelSide, kernel_side, squared_mmd
from metrics.memorization import Memorization, memorization, nearest_of_class
from metrics.modes import (
    high_quality,
    mode_counts,
    mode_coverage,
    mode_kl,
    mode_spread,
    modes_captured,
    nearest_centres,
    overlap,
)
from metrics.neighbours import Balls, Manifold, Neighbourhood, class_balls, inside_class, manifold, neighbourhood
from metrics.parts import at_once
from metrics.pixels import PixelSpace, pixel_space
from metrics.record import Metric, Unmeasurable
from metrics.spectrum import contrasts, mean_power
from variants.recipe import Refused, unknown

Generate = Callable[[Tensor | None, int], Tensor]
Judge = Extractor | Channelwise

BATCH = 1000
SMALLEST_LARGE = 16
LARGEST_PAIRWISE = 10_000
"""Examples of each side in what takes time and memory quadratic in them; chosen, not tuned."""
UNTOLD = "there was nothing to measure it on"
"""The reason why a metric is absent whose value is not a number."""
NOT_FINITE = "not_finite_samples"
"""What stands in the place of all metrics where samples are not finite: how many are not."""


class Real:
    """The real side of every comparison: the reference split, and all that is computed from it once, when asked for.

    samples: how many it is compared with. whole: the real side that this one is a part of; they share what is computed
    from the training examples.
    """

    def __init__(
        self, dataset: Dataset, reference: Split, judges: tuple[Judge, ...], samples: int, whole: "Real | None" = None
    ) -> None:
        self.dataset, self.reference, self.judges, self.samples = dataset, reference, judges, samples
        self.modes, self.whole = dataset.modes, whole

    def part(self, indices: Tensor, samples: int) -> "Real":
        """These examples of the reference as a real side of their own, for so many samples."""
        part = Real(self.dataset, self.reference.part(indices), self.judges, samples, whole=self)
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


class Comparison:
    """Samples beside the real side: what a metric is measured on. What several metrics need is computed once.

    samples: (n, *shape) float32. labels: (n,) that were asked for. tokens: (n, words) likewise, of captions. Both None
    where the generator was told nothing, or has nothing of the kind.
    """

    def __init__(self, real: Real, samples: Tensor, labels: Tensor | None, tokens: Tensor | None = None) -> None:
        self.real, self.samples, self.labels, self.tokens = real, samples, labels, tokens

    @cached_property
    def _read(self) -> tuple[Tensor, Tensor | None]:
        return self.real.read(self.samples)

    @cached_property
    def raw_features(self) -> Tensor:
        """Features by the deciding judge."""
        return self._read[0]

    @cached_property
    def features(self) -> Tensor:
        """The same, standardised."""
        return self.real.standardized(self.raw_features)

    @property
    def classes(self) -> Tensor:
        """The classes that the judge takes the samples for."""
        return self._read[1]

    @cached_property
    def modes(self) -> Tensor:
        """The mode of each sample: its predicted class, or its nearest centre."""
        return self.nearest[0] if isinstance(self.real.modes, Centres) else self.classes

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        return nearest_centres(self.samples, self.real.modes.points.to(self.samples))

    @cached_property
    def inside(self) -> Tensor:
        """Which samples lie in the manifold of the real examples of their predicted class."""
        return inside_class(self.features, self.classes, self.real.balls)

    @cached_property
    def distances(self) -> list[float]:
        """Fréchet distances between standardised features, one a judge."""
        result = []
        for judge, real in enumerate(self.real.standardized_moments):
            raw = self.real.read(self.samples, judge)[0] if judge else self.raw_features
            result.append(frechet_distance(moments(self.real.standardized(raw, judge)), real))
        return result

    @cached_property
    def discrepancy(self) -> Discrepancy:
        return squared_mmd(kernel_side(thinned(self.features, LARGEST_PAIRWISE, self.labels)), self.real.kernel)

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """With as many samples as real examples."""
        real = self.real.manifold
        return neighbourhood(thinned(self.features, len(real.points), self.labels), real)

    @cached_property
    def diversities(self) -> Tensor:
        ours = spread(self.features[self.inside], self.classes[self.inside], self.real.modes.count)
        return class_diversity(ours, self.real.spread, len(self.samples))

    @cached_property
    def checkerboard(self) -> dict[int, float]:
        """At each period, how far the contrast lies above that of real images; below 0 samples lack power."""
        return {
            period: ours - self.real.checkerboard[period]
            for period, ours in contrasts(mean_power(self.samples)).items()
        }

    @cached_property
    def words_right(self) -> Tensor:
        """(n, words): whether each word of the caption that was asked for is true of the sample."""
        return captions(self.samples, self.classes, self.real.dataset.captions.rule) == self.tokens

    @cached_property
    def held_out(self) -> Tensor:
        """(n,) whether training never showed the caption that was asked for."""
        return (self.tokens[:, None] == self.real.dataset.captions.held_out.to(self.tokens)).all(2).any(1)

    def agreement(self, asked: Tensor) -> float:
        """Share of these samples, (n,), that look real and of which the whole caption is true."""
        return share((self.words_right.all(1) & self.inside)[asked], NO_CAPTION)

    def _memorization(self, samples: Tensor, known: Tensor, usual: Tensor) -> Memorization:
        real, inside = self.real, self.inside
        if not bool(inside.any()):
            raise Unmeasurable("no sample looks real")
        classes = self.classes[inside]
        return memorization(real.nearest_known(samples[inside], classes, known), classes, usual, real.reference.labels)

    @cached_property
    def memorization(self) -> Memorization:
        return self._memorization(self.features, self.real.known_features, self.real.usual_distances)

    @cached_property
    def pixel_memorization(self) -> Memorization:
        samples = self.samples.flatten(1)
        if self.real.known_pixels.dtype == torch.uint8:  # grey levels, of which 255 is a sample's 1
            samples = (samples + 1) * 127.5
        return self._memorization(samples, self.real.known_pixels, self.real.usual_pixel_distances)


NO_CAPTION = "no sample was asked for such a caption"


def share(flags: Tensor, nothing: str) -> float:
    """The share of flags, (n,), that are set. Raises Unmeasurable, with what `nothing` says, where there are none."""
    if not len(flags):
        raise Unmeasurable(nothing)
    return flags.double().mean().item()


def _fid_pixels(c: Comparison) -> float:
    space, real = c.real.pixels
    return frechet_distance(moments(space.coordinates(c.samples)), real)


def _mode_coverage(c: Comparison) -> float:
    reached = mode_counts(c.modes[c.inside], c.real.modes.count)
    return mode_coverage(reached, c.real.mode_counts.to(reached), len(c.samples))


def _mode_kl(c: Comparison) -> float:
    counts = mode_counts(c.modes, len(c.real.mode_counts))
    return mode_kl(counts, c.real.mode_counts.to(counts))


def _modes_captured(c: Comparison) -> float:
    modes = c.modes
    if isinstance(c.real.modes, Centres):
        modes = modes[high_quality(c.nearest[1], c.real.modes.sigma)]
    return modes_captured(mode_counts(modes, len(c.real.mode_counts)))


def _accuracy_by_class(c: Comparison) -> Mapping[int, float]:
    return dict(enumerate(accuracy_by_class(c.classes, c.labels, c.real.modes.count).tolist()))


def _gan_train(c: Comparison) -> float:
    samples, labels = (thinned(rows, gan_training.SAMPLES, c.labels) for rows in (c.samples, c.labels))
    return gan_training.gan_train(samples, labels, c.real.images, c.real.reference.labels, c.real.modes.count)


def _family(c: Comparison) -> Mapping[int, float]:
    return dict(enumerate(c.distances))


_MIN, _MAX = "min", "max"
_POSITIVE, _SHARE, _ANY = (0.0, math.inf), (0.0, 1.0), (-math.inf, math.inf)
_HEUSEL = "Heusel et al. 2017, eq. 6"
_BINKOWSKI = "Bińkowski et al. 2018, sec. 4"
_KYNKAANNIEMI = "Kynkäänniemi et al. 2019, eq. 2"
_NAEEM = "Naeem et al. 2020, eq. 5 and 6"
_SHMELKOV = "Shmelkov et al. 2018, sec. 3"
_SRIVASTAVA = "Srivastava et al. 2017, sec. 4"
_MEEHAN = "Meehan et al. 2020; Alaa et al. 2022"
_OURS = "this project's own"


def _metric(
    name: str,
    summary: str,
    direction: str,
    bounds: tuple[float, float],
    perfect: float,
    needs: str,
    paper: str,
    measure: Callable[[Comparison], float | Mapping[int, float]],
    **rest: object,
) -> Metric:
    needed = frozenset(needs.split())
    return Metric(name, summary, direction, bounds, perfect, needed, paper=paper, measure=measure, **rest)


# fmt: off
_RECORDS = (
    _metric("fid", "Fréchet distance in the classifier's raw features",
            _MIN, _POSITIVE, 0, "", _HEUSEL, lambda c: frechet_distance(moments(c.raw_features), c.real.moments)),
    _metric("fid_normalized", "Fréchet distance in standardised features, geometric mean over the extractors",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, lambda c: geometric_mean(c.distances)),
    _metric("fid_normalized_extractor", "the same in the features of one extractor",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, _family, family=True),
    _metric("fid_pixels", "Fréchet distance in the first 20 principal components of real pixels",
            _MIN, _POSITIVE, 0, "images", _OURS, _fid_pixels),
    _metric("kid", "kernel distance, unbiased: 0 on average for real data",
            _MIN, _ANY, 0, "", _BINKOWSKI, lambda c: c.discrepancy.value),
    _metric("kid_error", "standard error of kid",
            _MIN, _POSITIVE, 0, "", _BINKOWSKI, lambda c: c.discrepancy.error),
    _metric("mode_coverage", "share of the classes that real-looking samples reach",
            _MAX, _SHARE, 1, "classes extractor", _OURS, _mode_coverage),
    _metric("mode_kl", "divergence of the samples' modes from the true ones, in nats",
            _MIN, _POSITIVE, 0, "modes", _SRIVASTAVA, _mode_kl),
    _metric("modes_captured", "number of modes with a sample that counts",
            _MAX, _POSITIVE, math.inf, "mixture", _SRIVASTAVA, _modes_captured),
    _metric("high_quality", "share of samples within 3 σ of a centre",
            _MAX, _SHARE, 1 - math.exp(-4.5), "centres", _SRIVASTAVA,
            lambda c: high_quality(c.nearest[1], c.real.modes.sigma).double().mean().item()),
    _metric("overlap", "share of the true mixture that the samples cover, mode by mode",
            _MAX, _SHARE, 1, "centres", _OURS,
            lambda c: overlap(c.samples, c.real.modes.points.to(c.samples), c.real.modes.disc * c.real.modes.sigma)),
    _metric("mode_spread", "spread of samples within a mode over the true one; 1 is right",
            _MAX, _POSITIVE, 1, "centres", _OURS, lambda c: mode_spread(
                c.samples, c.real.modes.points.to(c.samples), c.real.modes.disc * c.real.modes.sigma, c.real.modes.sigma
            )),
    _metric("accuracy", "share of samples that the classifier takes for what was asked (GAN-test)",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV,
            lambda c: accuracy(c.classes, c.labels)),
    _metric("accuracy_class", "the same for the samples of one label",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV, _accuracy_by_class, family=True),
    _metric("caption_digit", "share of samples that show the digit of their caption",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: c.words_right[:, 0].double().mean().item()),
    _metric("caption_thickness", "share of samples that are as thick as their caption says",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: c.words_right[:, 1].double().mean().item()),
    _metric("caption_slant", "share of samples that lean as their caption says",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: c.words_right[:, 2].double().mean().item()),
    _metric("caption_digit_held_out", "caption_digit for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: share(c.words_right[c.held_out, 0], NO_CAPTION)),
    _metric("caption_thickness_held_out", "caption_thickness for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: share(c.words_right[c.held_out, 1], NO_CAPTION)),
    _metric("caption_slant_held_out", "caption_slant for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS,
            lambda c: share(c.words_right[c.held_out, 2], NO_CAPTION)),
    _metric("caption_agreement_seen", "share of real-looking samples with every word right, captions seen in training",
            _MAX, _SHARE, 1, "condition captions", _OURS, lambda c: c.agreement(~c.held_out)),
    _metric("caption_agreement_held_out", "the same for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS, lambda c: c.agreement(c.held_out)),
    _metric("gan_train", "accuracy on real data of a small network trained on samples",
            _MAX, _SHARE, 1, "condition classes images", _SHMELKOV, _gan_train, cost="final"),
    _metric("precision", "share of samples inside the real manifold",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, lambda c: c.neighbourhood.precision),
    _metric("recall", "share of real examples inside the samples' manifold; noise raises it",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, lambda c: c.neighbourhood.recall),
    _metric("density", "how deep samples lie in the real manifold",
            _MAX, _POSITIVE, 1, "", _NAEEM, lambda c: c.neighbourhood.density),
    _metric("coverage", "share of real examples that have a sample near",
            _MAX, _SHARE, 1, "", _NAEEM, lambda c: c.neighbourhood.coverage),
    _metric("diversity", "spread of real-looking samples within a class, over the real spread; mean of the classes",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS, lambda c: c.diversities.nanmean().item()),
    _metric("diversity_worst", "the same for the least diverse class",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS,
            lambda c: c.diversities[c.diversities.isfinite()].min().item()),
    _metric("checkerboard", "power of the checkerboard above real images, at the period with most of it, in decades",
            _MIN, _POSITIVE, 0, "images large", "compare Odena et al. 2016",
            lambda c: max(0.0, *c.checkerboard.values())),
    _metric("checkerboard_period", "the same at one period, with its sign: below 0 samples lack power there",
            _MIN, _ANY, 0, "images large", "compare Odena et al. 2016", lambda c: c.checkerboard, family=True),
    _metric("memorization", "P(nearer to a training example than a fresh example is), in features; ½ is right",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN,
            lambda c: c.memorization.probability, cost="final"),
    _metric("memorization_pixels", "the same in pixels",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN,
            lambda c: c.pixel_memorization.probability, cost="final"),
    _metric("copies", "share of samples nearer to a training example than 99 % of fresh examples, in features",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN,
            lambda c: c.memorization.copies, cost="final"),
    _metric("copies_pixels", "the same in pixels",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN,
            lambda c: c.pixel_memorization.copies, cost="final"),
)
# fmt: on

METRICS: dict[str, Metric] = {metric.name: metric for metric in _RECORDS}
"""Every metric by name, in the order of tables. A family stands under its common name; `record` finds its members."""


def record(name: str) -> Metric:
    """The record of a metric as it is called in a journal. Raises Refused for a name that does not exist."""
    family, _, member = name.rpartition("_")
    if name not in METRICS and member.isdigit() and family in METRICS and METRICS[family].family:
        return METRICS[family]
    if name not in METRICS:
        raise unknown("metric", name, METRICS, see="it is one of " + ", ".join(METRICS))
    return METRICS[name]


def judge(dataset: Dataset) -> str:
    """The identity of what judges a dataset, whose classifier is trained now where there is none."""
    return identity(judges_of(dataset))


def identity(judges: Iterable[Extractor]) -> str:
    """SHA-256 of the extractor's file, or of those of several, joined in order; empty where there is none."""
    digests = [judge.sha256 for judge in judges]
    return sha256("".join(digests).encode()).hexdigest() if len(digests) > 1 else "".join(digests)


class Evaluator:
    """Judges generators of one dataset. The real side is computed at the first evaluation, once.

    samples: how many a generator has to make. judges: the extractors, by default those of the dataset. device:
    where labels are handed to the generator, and where metrics are computed if it knows float64.
    chosen: (samples,) the reference examples whose labels a generator is asked for, in order.
    seconds: what each metric took when last measured; what several need is counted for the first one.
    absent: of the metrics that were last asked for, those that could not be measured, each with the reason.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: int = 10_000,
        judges: tuple[Extractor, ...] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        if samples < 2:
            raise Refused(f"an evaluation needs at least 2 samples, not {samples}")
        self.samples, self.device = samples, torch.device(device)
        self._place = torch.device("cpu") if self.device.type == "mps" else self.device
        self.extractors = judges_of(dataset) if judges is None else judges
        self.dataset = dataset
        self.chosen = like_the_reference(dataset.reference, samples)
        self.seconds: dict[str, float] = {}
        self.absent: dict[str, str] = {}

    @cached_property
    def facts(self) -> frozenset[str]:
        """What there is to measure with: see Metric.needs."""
        spec, judged = self.dataset.spec, bool(self.extractors)
        # Without a classifier nothing tells which class a sample is of.
        modes = self.dataset.modes if judged or isinstance(self.dataset.modes, Centres) else None
        there = {
            "images": spec.is_image,
            "large": spec.is_image and min(spec.shape[1:]) >= SMALLEST_LARGE,
            "extractor": judged,
            "labels": self.dataset.reference.labels is not None,
            "modes": modes is not None,
            "classes": isinstance(modes, Classes),
            "centres": isinstance(modes, Centres),
            "mixture": isinstance(modes, Centres | Stacked),
            "captions": judged and self.dataset.captions is not None,
        }
        return frozenset(name for name, is_there in there.items() if is_there)

    def names(self, *, final: bool = True, conditional: bool = True) -> list[str]:
        """The metrics, and families of metrics, that are measured."""
        facts = self.facts | ({"condition"} if conditional and "labels" in self.facts else set())
        return [name for name, metric in METRICS.items() if metric.needs <= facts and (final or metric.cost == "each")]

    def evaluate(
        self,
        generate: Generate,
        *,
        final: bool = False,
        conditional: bool = True,
        only: Collection[str] | None = None,
    ) -> dict[str, float]:
        """Every metric of a generator that can be measured; `absent` tells of the others. Where samples are not finite,
        only how many are not, as NOT_FINITE.

        generate: (labels or None, count) -> samples (count, *shape) in [-1, 1] for images. final: also what is measured
        only once. conditional: whether the generator uses the labels; without, what asks for them is absent. only: the
        metrics, or families of them, that are wanted.
        """
        samples = self._generated(generate)
        names = self.names(final=final, conditional=conditional)
        if only is not None:
            names = [name for name in names if name in only]
        if broken := int((~torch.isfinite(samples.flatten(1)).all(1)).sum()):
            self.seconds = {}
            self.absent = dict.fromkeys(names, f"{broken:,} of {len(samples):,} samples are not finite")
            return {NOT_FINITE: float(broken)}
        return self.measure(names, self.compare(samples, conditional=conditional))

    def compare(self, samples: Tensor, *, conditional: bool = True) -> Comparison:
        """Samples (samples, *shape), made for the labels of `chosen`, beside the reference."""
        return Comparison(self.real, samples, *(self._asked_for if conditional else (None, None)))

    def measure(self, names: Iterable[str], comparison: Comparison) -> dict[str, float]:
        """These metrics, and families of metrics, of one comparison; those that it does not allow are `absent`."""
        values: dict[str, float] = {}
        self.seconds, self.absent = {}, {}
        for name in names:
            began = time.perf_counter()
            try:
                value = METRICS[name].measure(comparison)
            except Unmeasurable as error:
                self.absent[name] = error.reason
                continue
            self.seconds[name] = time.perf_counter() - began
            members = {f"{name}_{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {name: value}
            values |= {member: v for member, v in members.items() if not math.isnan(v)}
            self.absent |= {member: UNTOLD for member, v in members.items() if math.isnan(v)}
        return values

    def reference(self, *, final: bool = True) -> dict[str, float]:
        """Every metric with real examples in the place of samples, which training never saw: see reference_note."""
        names, held = self.names(final=final), self.stand_ins
        if not len(held):
            self.seconds, self.absent = {}, dict.fromkeys(names, "one real example cannot stand for samples as well")
            return {}
        return self.measure(names, self.beside_the_others(held))

    def beside_the_others(self, held: Tensor) -> Comparison:
        """These examples of the reference in the place of samples, beside the rest of it."""
        reference, rest = self.real.reference, torch.ones(len(self.real.reference), dtype=torch.bool)
        rest[held] = False
        side, held = self.real.part(rest.nonzero().flatten(), len(held)), held.to(self._place)
        return Comparison(side, reference.images(held), *self._asked(reference, held))

    @cached_property
    def stand_ins(self) -> Tensor:
        """The reference examples, as many as samples but at most half, that stand for samples of a perfect generator.

        They are drawn at random with the label frequencies of the reference, by a stream of the data's checksum.
        """
        reference = self.dataset.reference
        own = stream(0, f"real data/{self.dataset.checksum}")
        return drawn_alike(reference, min(self.samples, len(reference) // 2), own)

    @cached_property
    def reference_error(self) -> float:
        """How many times the bias of the samples' FID that in `reference` has: it falls as one over the counts."""
        whole, held = len(self.dataset.reference), len(self.stand_ins)
        return (1 / held + 1 / (whole - held)) / (1 / self.samples + 1 / whole)

    @cached_property
    def reference_note(self) -> str:
        """What `reference` compares, in one sentence, and what its smaller number of examples does to FID."""
        whole, held = len(self.dataset.reference), len(self.stand_ins)
        if not held:
            return "no real examples are left to stand for samples"
        return (
            f"{held:,} examples of the reference, drawn at random, against the other {whole - held:,}: FID has "
            f"{self.reference_error:.3g} times the bias there that {self.samples:,} samples have against all {whole:,}"
        )

    def _generated(self, generate: Generate) -> Tensor:
        samples = torch.empty(self.samples, *self.dataset.spec.shape, device=self._place)
        size = at_once(BATCH, samples)
        for start in range(0, self.samples, size):
            part = samples[start : start + size]
            condition = None if self._conditions is None else self._conditions[start : start + size]
            made = generate(condition, len(part))
            if made.shape != part.shape:
                raise ValueError(f"the generator made samples of shape {tuple(made.shape)}, not {tuple(part.shape)}")
            part.copy_(made.detach())
        return samples

    @cached_property
    def _conditions(self) -> Tensor | None:
        """What a generator is told of each sample, on its device."""
        condition = self.dataset.reference.condition(self.chosen)
        return None if condition is None else condition.to(self.device)

    @cached_property
    def _asked_for(self) -> tuple[Tensor | None, Tensor | None]:
        return self._asked(self.dataset.reference, self.chosen)

    @cached_property
    def _judges(self) -> tuple[Judge, ...]:
        shape = self.dataset.spec.shape
        return tuple(
            (each if each.shape == shape else Channelwise(each, shape[0])).to(self._place) for each in self.extractors
        )

    @cached_property
    def real(self) -> Real:
        """The reference, and what is computed from it."""
        return Real(self.dataset, self.dataset.reference.to(self._place), self._judges, self.samples)

    def _asked(self, split: Split, chosen: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Labels of these examples, and captions where there are any."""
        labels = None if split.labels is None else split.labels[chosen].to(self._place)
        return labels, split.condition(chosen).to(self._place) if self.dataset.captions else None


def like_the_reference(reference: Split, samples: int) -> Tensor:
    """Indices (samples,) into the reference whose labels have its frequencies, to within one sample a label.

    All of them in order where there are as many. Otherwise labels are spread evenly over the order, so that any
    beginning of it has nearly the same frequencies. Without labels the reference is gone through as often as needed.
    """
    if samples == len(reference) or reference.labels is None:
        return torch.arange(samples) % len(reference)
    return alike(reference, reference, samples)


def alike(split: Split, reference: Split, samples: int) -> Tensor:
    """Indices (samples,) into a split, with the label frequencies of the reference, spread evenly over the order.

    A label's examples are taken in their order, again from the first where there are too few. Raises Refused where the
    split lacks a label that the reference has.
    """
    if reference.labels is None or not samples:
        return torch.arange(samples) % len(split)
    counts = torch.bincount(reference.labels)
    exact = counts.double() * samples / counts.sum()
    quota = exact.floor().long()
    # The largest remainders get what rounding down has left over.
    quota[(exact - quota).argsort(descending=True, stable=True)[: samples - int(quota.sum())]] += 1
    chosen, places = [], []
    for label in quota.nonzero().flatten().tolist():
        members = (split.labels == label).nonzero().flatten()
        if not len(members):
            raise Refused(f"no example has label {label}, which the reference has, so it cannot be compared with")
        n = int(quota[label])
        chosen.append(members[torch.arange(n) % len(members)])
        places.append((torch.arange(n) + 0.5) / n)
    return torch.cat(chosen)[torch.cat(places).argsort(stable=True)]


def drawn_alike(reference: Split, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) of different examples, random within each label, with the label frequencies of all."""
    shuffled = torch.randperm(len(reference), generator=generator)
    return shuffled[alike(reference.part(shuffled), reference, count)]


def thinned(rows: Tensor, most: int, labels: Tensor | None = None) -> Tensor:
    """At most so many rows, evenly spread over their order; with labels, over the examples of each label.

    Labels may come in turn, as those of `alike` do: then every second row has half of them only.
    """
    if len(rows) <= most:
        return rows
    even = torch.arange(most, device=rows.device) * len(rows) // most
    return rows[even if labels is None else labels.argsort(stable=True)[even].sort().values]
