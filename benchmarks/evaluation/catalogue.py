"""Lists every metric: its name, summary, direction, range, needs, paper, and the function that measures it."""

import math
from collections.abc import Callable, Mapping

from benchmarks.datasets import Centres
from benchmarks.evaluation.matching import thin
from benchmarks.evaluation.samples import SampleSet
from metrics import gan_train as gan_training
from metrics.accuracy import accuracy, accuracy_by_class
from metrics.base import Metric
from metrics.frechet import frechet_distance, geometric_mean, moments
from metrics.modes import high_quality, mode_counts, mode_coverage, mode_kl, mode_spread, modes_captured, overlap
from variants.recipe import unknown


def _fid_pixels(s: SampleSet) -> float:
    space, real = s.reference.pixels
    return frechet_distance(moments(space.coordinates(s.samples)), real)


def _mode_coverage(s: SampleSet) -> float:
    reached = mode_counts(s.modes[s.inside], s.reference.modes.count)
    return mode_coverage(reached, s.reference.mode_counts.to(reached), len(s.samples))


def _mode_kl(s: SampleSet) -> float:
    counts = mode_counts(s.modes, len(s.reference.mode_counts))
    return mode_kl(counts, s.reference.mode_counts.to(counts))


def _modes_captured(s: SampleSet) -> float:
    modes = s.modes
    if isinstance(s.reference.modes, Centres):
        modes = modes[high_quality(s.nearest[1], s.reference.modes.sigma)]
    return modes_captured(mode_counts(modes, len(s.reference.mode_counts)))


def _overlap(s: SampleSet) -> float:
    modes = s.reference.modes
    return overlap(s.samples, modes.points.to(s.samples), modes.disc * modes.sigma)


def _mode_spread(s: SampleSet) -> float:
    modes = s.reference.modes
    return mode_spread(s.samples, modes.points.to(s.samples), modes.disc * modes.sigma, modes.sigma)


def _accuracy_by_class(s: SampleSet) -> Mapping[int, float]:
    return dict(enumerate(accuracy_by_class(s.classes, s.labels, s.reference.modes.count).tolist()))


def _gan_train(s: SampleSet) -> float:
    samples, labels = (thin(rows, gan_training.MOST_SAMPLES, s.labels) for rows in (s.samples, s.labels))
    real = s.reference
    return gan_training.gan_train(samples, labels, real.images, real.split.labels, real.modes.count)


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
# In the order of a caption's words.
_CAPTION_WORDS = {
    "digit": "share of samples that show the digit of their caption",
    "thickness": "share of samples that are as thick as their caption says",
    "slant": "share of samples that lean as their caption says",
}


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
            _MIN, _POSITIVE, 0, "", _HEUSEL, lambda s: frechet_distance(moments(s.raw_features), s.reference.moments)),
    _metric("fid_normalized", "Fréchet distance in standardised features, geometric mean over the extractors",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, lambda s: geometric_mean(s.distances)),
    _metric("fid_normalized_extractor", "the same in the features of one extractor",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, lambda s: dict(enumerate(s.distances)), family=True),
    _metric("fid_pixels", "Fréchet distance in the first 20 principal components of real pixels",
            _MIN, _POSITIVE, 0, "images", _OURS, _fid_pixels),
    _metric("kid", "kernel distance, unbiased: 0 on average for real data",
            _MIN, _ANY, 0, "", _BINKOWSKI, lambda s: s.discrepancy.value),
    _metric("kid_error", "standard error of kid",
            _MIN, _POSITIVE, 0, "", _BINKOWSKI, lambda s: s.discrepancy.error),
    _metric("mode_coverage", "share of the classes that real-looking samples reach",
            _MAX, _SHARE, 1, "classes extractor", _OURS, _mode_coverage),
    _metric("mode_kl", "divergence of the samples' modes from the true ones, in nats",
            _MIN, _POSITIVE, 0, "modes", _SRIVASTAVA, _mode_kl),
    _metric("modes_captured", "number of modes with a sample that counts",
            _MAX, _POSITIVE, math.inf, "mixture", _SRIVASTAVA, _modes_captured),
    _metric("high_quality", "share of samples within 3 σ of a centre",
            _MAX, _SHARE, 1 - math.exp(-4.5), "centres", _SRIVASTAVA,
            lambda s: high_quality(s.nearest[1], s.reference.modes.sigma).double().mean().item()),
    _metric("overlap", "share of the true mixture that the samples cover, mode by mode",
            _MAX, _SHARE, 1, "centres", _OURS, _overlap),
    _metric("mode_spread", "spread of samples within a mode over the true one; 1 is right",
            _MAX, _POSITIVE, 1, "centres", _OURS, _mode_spread),
    _metric("accuracy", "share of samples that the classifier takes for what was asked (GAN-test)",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV,
            lambda s: accuracy(s.classes, s.labels)),
    _metric("accuracy_class", "the same for the samples of one label",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV, _accuracy_by_class, family=True),
    *(_metric(f"caption_{word}", summary, _MAX, _SHARE, 1, "condition captions", _OURS,
              lambda s, place=place: s.caption_share(s.words_right[:, place]))
      for place, (word, summary) in enumerate(_CAPTION_WORDS.items())),
    *(_metric(f"caption_{word}_held_out", f"caption_{word} for combinations of words that training never showed",
              _MAX, _SHARE, 1, "condition captions", _OURS,
              lambda s, place=place: s.caption_share(s.words_right[s.held_out, place]))
      for place, word in enumerate(_CAPTION_WORDS)),
    _metric("caption_agreement_seen", "share of real-looking samples with every word right, captions seen in training",
            _MAX, _SHARE, 1, "condition captions", _OURS, lambda s: s.agreement(~s.held_out)),
    _metric("caption_agreement_held_out", "the same for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS, lambda s: s.agreement(s.held_out)),
    _metric("gan_train", "accuracy on real data of a small network trained on samples",
            _MAX, _SHARE, 1, "condition classes images", _SHMELKOV, _gan_train, cost="final"),
    _metric("precision", "share of samples inside the real manifold",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, lambda s: s.neighbourhood.precision),
    _metric("recall", "share of real examples inside the samples' manifold; noise raises it",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, lambda s: s.neighbourhood.recall),
    _metric("density", "how deep samples lie in the real manifold",
            _MAX, _POSITIVE, 1, "", _NAEEM, lambda s: s.neighbourhood.density),
    _metric("coverage", "share of real examples that have a sample near",
            _MAX, _SHARE, 1, "", _NAEEM, lambda s: s.neighbourhood.coverage),
    _metric("diversity", "spread of real-looking samples within a class, over the real spread; mean of the classes",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS, lambda s: s.diversities.nanmean().item()),
    _metric("diversity_worst", "the same for the least diverse class",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS,
            lambda s: s.diversities[s.diversities.isfinite()].min().item()),
    _metric("checkerboard", "power of the checkerboard above real images, at the period with most of it, in decades",
            _MIN, _POSITIVE, 0, "images large", "compare Odena et al. 2016",
            lambda s: max(0.0, *s.checkerboard.values())),
    _metric("checkerboard_period", "the same at one period, with its sign: below 0 samples lack power there",
            _MIN, _ANY, 0, "images large", "compare Odena et al. 2016", lambda s: s.checkerboard, family=True),
    _metric("memorization", "P(nearer to a training example than a fresh example is), in features; ½ is right",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN,
            lambda s: s.memorization.probability, cost="final"),
    _metric("memorization_pixels", "the same in pixels",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN,
            lambda s: s.pixel_memorization.probability, cost="final"),
    _metric("copies", "share of samples nearer to a training example than 99 % of fresh examples, in features",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN,
            lambda s: s.memorization.copies, cost="final"),
    _metric("copies_pixels", "the same in pixels",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN,
            lambda s: s.pixel_memorization.copies, cost="final"),
)
# fmt: on

METRICS: dict[str, Metric] = {metric.name: metric for metric in _RECORDS}
"""Holds every metric by name, in the order of tables; a family stands under its common name."""


def find_metric(name: str) -> Metric:
    """Returns a metric by its name in a journal, `<family>_<k>` for a family's member. Raises UserError if unknown."""
    family, _, member = name.rpartition("_")
    if name not in METRICS and member.isdigit() and family in METRICS and METRICS[family].family:
        return METRICS[family]
    if name not in METRICS:
        raise unknown("metric", name, METRICS, see="it is one of " + ", ".join(METRICS))
    return METRICS[name]
