"""Compares samples with real data: pure functions of tensors, torchmetrics metrics, and the pinned classifiers.

base.py              defines Metric, the record of a metric: direction, range, needs, cost, paper
features.py          defines the classifier, its files and its identity
two_sample.py        defines what the torchmetrics metrics share: two sides, the extractor, rows that are kept
inception.py         computes FID, KID and Inception score by the network of published papers
frechet.py           computes the Fréchet distance between Gaussian fits (FID)
kernel.py            computes the squared maximum mean discrepancy with the cubic kernel (KID), with its standard error
neighbours.py        computes precision, recall, density, coverage, and the manifold of a class, by nearest neighbours
modes.py             counts which known modes the samples reach, and how evenly: classes, and centres in the plane
accuracy.py          counts samples of the class that was asked for
classifier_score.py  scores how surely a classifier names samples, and how many classes (Inception score)
captions.py          measures from a digit's pixels which words are true of it
caption_accuracy.py  counts samples of which the words that were asked for are true
diversity.py         compares the spread within a class with the real spread
memorization.py      tests whether samples lie nearer to training examples than fresh real ones do
gan_train.py         trains a small network on samples and tests it on real data
spectrum.py          finds checkerboard artefacts in the power spectrum
pixels.py            projects images on their principal components, without a classifier
ranking.py           computes the probability that one score beats another
thinning.py          chooses fewer rows, evenly
chunks.py            cuts up or repeats work as suits the device

Nothing here knows of variants or runs, reads a clock, or draws from a global random state. The torchmetrics metrics can
be imported from here; docs/metrics.md shows them in a training loop.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics.accuracy import ClassAccuracy
    from metrics.caption_accuracy import CaptionAccuracy, CaptionAgreement
    from metrics.classifier_score import ClassifierScore
    from metrics.diversity import ClassDiversity
    from metrics.frechet import FrechetDistance, NormalizedFrechetDistance
    from metrics.gan_train import GANTrain
    from metrics.inception import InceptionMetrics
    from metrics.kernel import KernelDistance
    from metrics.memorization import Copies, MemorizationProbability
    from metrics.modes import HighQuality, ModeCoverage, ModeKL, ModesCaptured, ModeSpread, Overlap
    from metrics.neighbours import PRDC
    from metrics.spectrum import Checkerboard

__all__ = [
    "PRDC",
    "CaptionAccuracy",
    "CaptionAgreement",
    "Checkerboard",
    "ClassAccuracy",
    "ClassDiversity",
    "ClassifierScore",
    "Copies",
    "FrechetDistance",
    "GANTrain",
    "HighQuality",
    "InceptionMetrics",
    "KernelDistance",
    "MemorizationProbability",
    "ModeCoverage",
    "ModeKL",
    "ModeSpread",
    "ModesCaptured",
    "NormalizedFrechetDistance",
    "Overlap",
]

_MODULES = {
    "CaptionAccuracy": "caption_accuracy",
    "CaptionAgreement": "caption_accuracy",
    "Checkerboard": "spectrum",
    "ClassAccuracy": "accuracy",
    "ClassDiversity": "diversity",
    "ClassifierScore": "classifier_score",
    "Copies": "memorization",
    "FrechetDistance": "frechet",
    "GANTrain": "gan_train",
    "HighQuality": "modes",
    "InceptionMetrics": "inception",
    "KernelDistance": "kernel",
    "MemorizationProbability": "memorization",
    "ModeCoverage": "modes",
    "ModeKL": "modes",
    "ModeSpread": "modes",
    "ModesCaptured": "modes",
    "NormalizedFrechetDistance": "frechet",
    "Overlap": "modes",
    "PRDC": "neighbours",
}


def __getattr__(name: str) -> Any:
    # Imported at first use: torchmetrics takes as long to import as torch.
    if name not in _MODULES:
        raise AttributeError(f"module 'metrics' has no attribute {name!r}")
    return getattr(import_module(f"metrics.{_MODULES[name]}"), name)
