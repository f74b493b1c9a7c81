"""Lists every metric: its name, summary, direction, range, needs and paper, and what measures it."""

import math
from typing import Any

import metrics
from metrics.base import Measurement, Metric
from variants.recipe import unknown


def _measure(name: str, *views: str, **arguments: str) -> Measurement:
    """Describes a measurement by a metric of `metrics`, which is imported when first used: see Measurement."""

    def create(**given: Any) -> Any:
        return getattr(metrics, name)(**given)

    return Measurement(create, views, tuple(arguments.items()))


_RAW_FRECHET = _measure("FrechetDistance", "raw_features")
_FRECHET = _measure("NormalizedFrechetDistance", "features_of_each", extractors="extractor_count")
_PIXEL_FRECHET = _measure("FrechetDistance", "images", extractor="pixel_coordinates")
_KERNEL = _measure("KernelDistance", "pairwise_features")
_NEIGHBOURS = _measure("PRDC", "manifold_features")
_MODE_COVERAGE = _measure("ModeCoverage", "modes", "inside", truth="mode_counts")
_MODE_KL = _measure("ModeKL", "modes", truth="mode_counts")
_CAPTURED = _measure("ModesCaptured", "modes", "captured", count="mode_count")
_HIGH_QUALITY = _measure("HighQuality", "images", centres="modes.points", sigma="modes.sigma")
_OVERLAP = _measure("Overlap", "images", centres="modes.points", radius="disc_radius")
_SPREAD = _measure("ModeSpread", "images", centres="modes.points", radius="disc_radius", sigma="modes.sigma")
_ACCURACY = _measure("ClassAccuracy", "classes", "labels", classes="modes.count")
_INCEPTION = _measure("InceptionMetrics", "images", extractor="inception")
_SCORE = _measure("ClassifierScore", "logits")
_CAPTIONS = _measure("CaptionAccuracy", "words_right", "held_out", kinds="word_kinds")
_AGREEMENT = _measure("CaptionAgreement", "words_right", "held_out", "inside")
_GAN_TRAIN = _measure("GANTrain", "images", "labels", classes="modes.count")
_DIVERSITY = _measure("ClassDiversity", "features", "classes", "inside", classes="modes.count")
_CHECKERBOARD = _measure("Checkerboard", "images")
_MEMORIZATION = _measure("MemorizationProbability", "feature_distances", "inside_classes")
_PIXEL_MEMORIZATION = _measure("MemorizationProbability", "pixel_distances", "inside_classes")
_COPIES = _measure("Copies", "feature_distances", "inside_classes")
_PIXEL_COPIES = _measure("Copies", "pixel_distances", "inside_classes")

_MIN, _MAX = "min", "max"
_POSITIVE, _SHARE, _ANY = (0.0, math.inf), (0.0, 1.0), (-math.inf, math.inf)
_HEUSEL = "Heusel et al. 2017, eq. 6"
_BINKOWSKI = "Bińkowski et al. 2018, sec. 4"
_KYNKAANNIEMI = "Kynkäänniemi et al. 2019, eq. 2"
_NAEEM = "Naeem et al. 2020, eq. 5 and 6"
_SHMELKOV = "Shmelkov et al. 2018, sec. 3"
_SRIVASTAVA = "Srivastava et al. 2017, sec. 4"
_MEEHAN = "Meehan et al. 2020; Alaa et al. 2022"
_SALIMANS = "Salimans et al. 2016, sec. 4"
_OURS = "this project's own"
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
    measurement: Measurement,
    **rest: object,
) -> Metric:
    return Metric(name, summary, direction, bounds, perfect, frozenset(needs.split()), paper, measurement, **rest)


# fmt: off
_RECORDS = (
    _metric("fid", "Fréchet distance in the classifier's raw features",
            _MIN, _POSITIVE, 0, "", _HEUSEL, _RAW_FRECHET),
    _metric("fid_normalized", "Fréchet distance in standardised features, geometric mean over the extractors",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, _FRECHET),
    _metric("fid_normalized_extractor", "the same in the features of one extractor",
            _MIN, _POSITIVE, 0, "extractor", _HEUSEL, _FRECHET, family=True),
    _metric("fid_pixels", "Fréchet distance in the first 20 principal components of real pixels",
            _MIN, _POSITIVE, 0, "images", _OURS, _PIXEL_FRECHET),
    _metric("kid", "kernel distance, unbiased: 0 on average for real data",
            _MIN, _ANY, 0, "", _BINKOWSKI, _KERNEL),
    _metric("kid_error", "standard error of kid",
            _MIN, _POSITIVE, 0, "", _BINKOWSKI, _KERNEL),
    _metric("mode_coverage", "share of the classes that real-looking samples reach",
            _MAX, _SHARE, 1, "classes extractor", _OURS, _MODE_COVERAGE),
    _metric("mode_kl", "divergence of the samples' modes from the true ones, in nats",
            _MIN, _POSITIVE, 0, "modes", _SRIVASTAVA, _MODE_KL),
    _metric("modes_captured", "number of modes with a sample that counts",
            _MAX, _POSITIVE, math.inf, "mixture", _SRIVASTAVA, _CAPTURED),
    _metric("high_quality", "share of samples within 3 σ of a centre",
            _MAX, _SHARE, 1 - math.exp(-4.5), "centres", _SRIVASTAVA, _HIGH_QUALITY),
    _metric("overlap", "share of the true mixture that the samples cover, mode by mode",
            _MAX, _SHARE, 1, "centres", _OURS, _OVERLAP),
    _metric("mode_spread", "spread of samples within a mode over the true one; 1 is right",
            _MAX, _POSITIVE, 1, "centres", _OURS, _SPREAD),
    _metric("accuracy", "share of samples that the classifier takes for what was asked (GAN-test)",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV, _ACCURACY),
    _metric("accuracy_class", "the same for the samples of one label",
            _MAX, _SHARE, 1, "condition classes extractor", _SHMELKOV, _ACCURACY, family=True),
    _metric("classifier_score", "how surely the classifier names samples, and how many classes (Inception score)",
            _MAX, (1.0, math.inf), math.inf, "classes extractor", _SALIMANS, _SCORE),
    _metric("fid_inception", "Fréchet distance in the features of Inception, as in papers",
            _MIN, _POSITIVE, 0, "images inception", _HEUSEL, _INCEPTION, cost="final"),
    _metric("kid_inception", "kernel distance in the features of Inception, as in papers",
            _MIN, _ANY, 0, "images inception", _BINKOWSKI, _INCEPTION, cost="final"),
    _metric("inception_score", "how surely Inception names samples, and how many classes of ImageNet, as in papers",
            _MAX, (1.0, math.inf), math.inf, "images inception", _SALIMANS, _INCEPTION, cost="final"),
    *(_metric(f"caption_{word}", summary, _MAX, _SHARE, 1, "condition captions", _OURS, _CAPTIONS)
      for word, summary in _CAPTION_WORDS.items()),
    *(_metric(f"caption_{word}_held_out", f"caption_{word} for combinations of words that training never showed",
              _MAX, _SHARE, 1, "condition captions", _OURS, _CAPTIONS)
      for word in _CAPTION_WORDS),
    _metric("caption_agreement_seen", "share of real-looking samples with every word right, captions seen in training",
            _MAX, _SHARE, 1, "condition captions", _OURS, _AGREEMENT),
    _metric("caption_agreement_held_out", "the same for combinations of words that training never showed",
            _MAX, _SHARE, 1, "condition captions", _OURS, _AGREEMENT),
    _metric("gan_train", "accuracy on real data of a small network trained on samples",
            _MAX, _SHARE, 1, "condition classes images", _SHMELKOV, _GAN_TRAIN, cost="final"),
    _metric("precision", "share of samples inside the real manifold",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, _NEIGHBOURS),
    _metric("recall", "share of real examples inside the samples' manifold; noise raises it",
            _MAX, _SHARE, 1, "", _KYNKAANNIEMI, _NEIGHBOURS),
    _metric("density", "how deep samples lie in the real manifold",
            _MAX, _POSITIVE, 1, "", _NAEEM, _NEIGHBOURS),
    _metric("coverage", "share of real examples that have a sample near",
            _MAX, _SHARE, 1, "", _NAEEM, _NEIGHBOURS),
    _metric("diversity", "spread of real-looking samples within a class, over the real spread; mean of the classes",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS, _DIVERSITY),
    _metric("diversity_worst", "the same for the least diverse class",
            _MAX, _POSITIVE, 1, "classes extractor", _OURS, _DIVERSITY),
    _metric("checkerboard", "power of the checkerboard above real images, at the period with most of it, in decades",
            _MIN, _POSITIVE, 0, "images large", "compare Odena et al. 2016", _CHECKERBOARD),
    _metric("checkerboard_period", "the same at one period, with its sign: below 0 samples lack power there",
            _MIN, _ANY, 0, "images large", "compare Odena et al. 2016", _CHECKERBOARD, family=True),
    _metric("memorization", "P(nearer to a training example than a fresh example is), in features; ½ is right",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN, _MEMORIZATION, cost="final"),
    _metric("memorization_pixels", "the same in pixels",
            _MIN, _SHARE, 0.5, "classes extractor", _MEEHAN, _PIXEL_MEMORIZATION, cost="final"),
    _metric("copies", "share of samples nearer to a training example than 99 % of fresh examples, in features",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN, _COPIES, cost="final"),
    _metric("copies_pixels", "the same in pixels",
            _MIN, _SHARE, 0.01, "classes extractor", _MEEHAN, _PIXEL_COPIES, cost="final"),
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
