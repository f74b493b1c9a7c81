"""Measures images by the Inception network of published papers: FID, KID and Inception score that compare with theirs.

The network is Inception v3 as TensorFlow published it for these metrics in 2015; its weights, converted for PyTorch,
are those of torch-fidelity, and torchmetrics computes the figures. An ImageNet network sees little in digits, and the
bias of FID with 2,048 features is large, so these figures are there to be compared with papers of the same sample
counts, for colour images above all. Heusel et al. 2017; Bińkowski et al. 2018; Salimans et al. 2016.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from metrics.base import Unmeasurable
from metrics.two_sample import TwoSampleMetric, figure

FILE = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
FEATURES = 2048
# As in the papers: ten groups of samples, and KID as the mean over a hundred pairs of subsets of 1,000.
_SPLITS, _SUBSETS, _SUBSET_SIZE = 10, 100, 1000
# The rows of all processes are joined before: torchmetrics' own metrics would join them once more.
_ALONE = {"sync_on_compute": False}
# Images at once: an image of 299 x 299 takes some 10 MB on its way.
_CHUNK = 32


class BadWeights(ValueError):
    """Tells in one sentence why a file of weights cannot be used."""


def check_weights(path: Path) -> None:
    """Raises BadWeights unless the file is the published one; only then is it unpickled."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadWeights(f"the weights {path} cannot be read: {error.strerror}") from None
    if digest != SHA256:
        raise BadWeights(f"{path} is not the published file, or not all of it: its SHA-256 is {digest}, not {SHA256}")


class InceptionFeatures(NamedTuple):
    """Holds what the network says of images."""

    # Of the last pooling layer: (images, 2048).
    features: Float[Tensor, "images features"]
    # Of the classes, without the bias of the last layer, as the Inception score takes them: (images, 1008).
    logits: Float[Tensor, "images classes"]


class Inception(nn.Module):
    """Reads images by Inception v3. Raises BadWeights for another file than the published one.

    Needs the package torch-fidelity, whose network resizes images to 299 x 299 as TensorFlow 1 did. That of
    torchmetrics resizes them otherwise unless told, so its figures do not quite compare.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        check_weights(path)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.network = FeatureExtractorInceptionV3("inception", [str(FEATURES), "logits_unbiased"], str(path))

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "images channels height width"]) -> InceptionFeatures:
        """Reads images in [-1, 1], which become 8 bits as files do; grey ones become three equal channels.

        Raises ValueError for other than one or three channels.
        """
        if images.shape[1] not in (1, 3):
            raise ValueError(f"Inception reads grey or colour images, not {images.shape[1]} channels")
        parts = [self.network(as_bytes(part)) for part in images.split(_CHUNK)]
        features, logits = (torch.cat(each) for each in zip(*parts, strict=True))
        return InceptionFeatures(features, logits)


def as_bytes(images: Float[Tensor, "images channels height width"]) -> UInt8[Tensor, "images 3 height width"]:
    """Converts images in [-1, 1] to 8 bits, in three channels."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().expand(-1, 3, -1, -1)


class _AsTheyAre(nn.Module):
    """Stands for the network in torchmetrics' classes, where its features are known already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


@dataclass(frozen=True)
class InceptionComparison:
    """Compares samples with real images. Every figure is random only by `seed`."""

    real: InceptionFeatures
    samples: InceptionFeatures
    seed: int = 0

    @cached_property
    def fid(self) -> float:
        """The Fréchet distance; [0, ∞), smaller is better."""
        from torchmetrics.image.fid import FrechetInceptionDistance

        return float(self._compared(FrechetInceptionDistance))

    @cached_property
    def kid(self) -> float:
        """The kernel distance, the mean over random subsets; may be negative, smaller is better."""
        from torchmetrics.image.kid import KernelInceptionDistance

        count = min(len(self.real.features), len(self.samples.features))
        size = min(_SUBSET_SIZE, count)
        mean, _ = self._compared(KernelInceptionDistance, subsets=_SUBSETS, subset_size=size)
        return float(mean)

    @cached_property
    def score(self) -> float:
        """The Inception score of the samples, the mean over ten groups; [1, 1008], larger is better."""
        from torchmetrics.image.inception import InceptionScore

        if len(self.samples.logits) < _SPLITS:
            raise Unmeasurable(f"the Inception score takes at least {_SPLITS} samples, not {len(self.samples.logits)}")
        with self._drawing():
            width = self.samples.logits.shape[1]
            metric = InceptionScore(feature=_AsTheyAre(width), splits=_SPLITS, **_ALONE)
            metric.update(self.samples.logits)
            mean, _ = metric.compute()
        return float(mean)

    def _compared(self, kind: Callable[..., Any], **options: int) -> Any:
        with self._drawing():
            features = self.samples.features
            metric = kind(feature=_AsTheyAre(features.shape[1]), **options, **_ALONE).to(features.device)
            metric.update(self.real.features, real=True)
            metric.update(features, real=False)
            return metric.compute()

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Seeds the global random state, which torchmetrics draws from, and restores it; keeps its advice quiet."""
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            torch.manual_seed(self.seed)
            yield


class InceptionMetrics(TwoSampleMetric):
    """Computes `fid_inception`, `kid_inception` and `inception_score`, as InceptionComparison does; one pass for all.

    extractor: an Inception, or any callable from images to InceptionFeatures. See TwoSampleMetric.

    >>> import torch
    >>> features = torch.arange(60.0).view(20, 3).sin()
    >>> read = lambda images: InceptionFeatures(images, images)
    >>> inception = InceptionMetrics(read)
    >>> inception.update(features, real=True)
    >>> inception.update(features, real=False)
    >>> {name: round(abs(value.item()), 3) for name, value in inception.compute().items()}
    {'fid_inception': 0.0, 'kid_inception': 0.209, 'inception_score': 1.092}
    """

    rows = ("features", "logits")

    def update(self, samples: Tensor, real: bool) -> None:
        """Adds a batch of images."""
        self.add_rows(real, *self.extractor(samples))

    def compute(self) -> dict[str, Tensor]:
        both = InceptionComparison(*(InceptionFeatures(*self.get_rows(real)) for real in (True, False)))
        return {
            "fid_inception": figure(both.fid),
            "kid_inception": figure(both.kid),
            "inception_score": figure(both.score),
        }
