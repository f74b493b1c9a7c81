"""benchmarks.evaluation.catalogue: TODO."""

import math
from collections.abc import Callable, Mapping

from benchmarks.datasets import Centres
from benchmarks.evaluation.matching import thin
from benchmarks.evaluation.samples import NO_CAPTION, SampleSet, share
from metrics import gan_train as gan_training
from metrics.accuracy import accuracy, accuracy_by_class
from metrics.base import Metric
from metrics.frechet import frechet_distance, geometric_mean, moments
from metrics.modes import (
    high_quality,
    mode_counts,
    mode_coverage,
    mode_kl,
    mode_spread,
    modes_captured,
    overlap,
)
from variants.recipe import unknown


def _fid_pixels(c: SampleSet) -> float:
    space, real = c.reference.pixels
    return frechet_distance(moments(space.coordinates(c.samples)), real)


def _mode_coverage(c: SampleSet) -> float:
    reached = mode_counts(c.modes[c.inside], c.reference.modes.count)
    return mode_coverage(reached, c.reference.mode_counts.to(reached), len(c.samples))


def _mode_kl(c: SampleSet) -> float:
    counts = mode_counts(c.modes, len(c.reference.mode_counts))
    return mode_kl(counts, c.reference.mode_counts.to(counts))


def _modes_captured(c: SampleSet) -> float:
    modes = c.modes
    if isinstance(c.reference.modes, Centres):
        modes = modes[high_quality(c.nearest[1], c.reference.modes.sigma)]
    return modes_captured(mode_counts(modes, len(c.reference.mode_counts)))


def _accuracy_by_class(c: SampleSet) -> Mapping[int, float]:
    return dict(enumerate(accuracy_by_class(c.classes, c.labels, c.reference.modes.count).tolist()))


def _overlap(c: SampleSet) -> float:
    modes = c.reference.modes
    return overlap(c.samples, modes.points.to(c.samples), modes.disc * modes.sigma)


def _mode_spread(c: SampleSet) -> float:
    modes = c.reference.modes
    return mode_spread(c.samples, modes.points.to(c.samples), modes.disc * modes.sigma, modes.sigma)


def _gan_train(c: SampleSet) -> float:
    samples, labels = (thin(rows, gan_training.MOST_SAMPLES, c.labels) for rows in (c.samples, c.labels))
    real = c.reference
    return gan_training.gan_train(samples, labels, real.images, real.split.labels, real.modes.count)


def _family(c: SampleSet) -> Mapping[int, float]:
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
    measure: Callable[[SampleSet], float | Mapping[int, float]],
    **rest: object,
) -> Metric:
    needed = frozenset(needs.split())
    return Metric(name, summary, direction, bounds, perfect, needed, paper=paper, measure=measure, **rest)


# fmt: off
_RECORDS = (
    _metric("fid", "Fréchet distance in the classifier's raw features",
            _MIN, _POSITIVE, 0, "", _HEUSEL, lambda c: frechet_distance(moments(c.raw_features), c.reference.moments)),
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
            lambda c: high_quality(c.nearest[1], c.reference.modes.sigma).double().mean().item()),
    _metric("overlap", "share of the true mixture that the samples cover, mode by mode",
            _MAX, _SHARE, 1, "centres", _OURS, _overlap),
    _metric("mode_spread", "spread of samples within a mode over the true one; 1 is right",
            _MAX, _POSITIVE, 1, "centres", _OURS, _mode_spread),
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
"""Holds every metric by name, in the order of tables; a family stands under its common name."""


def find_metric(name: str) -> Metric:
    """The record of a metric as it is called in a journal. Raises UserError for a name that does not exist."""
    family, _, member = name.rpartition("_")
    if name not in METRICS and member.isdigit() and family in METRICS and METRICS[family].family:
        return METRICS[family]
    if name not in METRICS:
        raise unknown("metric", name, METRICS, see="it is one of " + ", ".join(METRICS))
    return METRICS[name]
