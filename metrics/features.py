"""Defines the classifiers that turn images into features, and their files.

Features of an ImageNet network mean little on digits, so features come from a small classifier of the same data. One
architecture serves every image set. Its weights are a file of a few hundred kB; the SHA-256 of the file's bytes is its
identity, and belongs to every value measured with it.
"""

import copy
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fusion

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows

WIDTHS = (16, 32, 48, 64)
FEATURE_COUNT = 64
SMALLEST_MAP = 4
PINNED = Path(__file__).with_name("extractors")
ARCHITECTURE = "convolutions 3x3 of 16, 32, 48, 64 channels, strides 1 then 2 down to 4x4, linear to 64, ReLU"

# A unit whose deviation over training data is below this share of the largest one is dead; chosen, not tuned.
DEAD = 1e-3
# The share of a feature by which float32 rounding alone separates equal images.
_ROUNDING = 1e-6
# With channels last, so many images fit the cache: twice as fast as 1,000 at once.
_CHUNK = 125
_LARGEST_FILE = 16 * 2**20
LARGEST_IMAGE_SIDE = 512


def _layout(device: torch.device) -> torch.memory_format:
    """Returns the memory format in which convolutions read images of few channels fastest."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


class BadExtractor(ValueError):
    """Tells in one sentence why a file of weights cannot be used."""


class Classifier(nn.Module):
    """Classifies images of any shape (channels, height, width) of at least 4 x 4, by a few convolutions.

    The penultimate layer, 64 units after a ReLU, gives the features. batch_norm: include batch normalisation, for
    training; `fused` returns the same function without it.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        channels, height, width = shape
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for i, wider in enumerate(WIDTHS):
            stride = 2 if i and max(height, width) > SMALLEST_MAP else 1
            self.convolutions.append(nn.Conv2d(channels, wider, 3, stride, 1, bias=not batch_norm))
            self.norms.append(nn.BatchNorm2d(wider) if batch_norm else nn.Identity())
            channels, height, width = wider, -(-height // stride), -(-width // stride)
        self.embedding = nn.Linear(channels * height * width, FEATURE_COUNT, bias=not batch_norm)
        self.norms.append(nn.BatchNorm1d(FEATURE_COUNT) if batch_norm else nn.Identity())
        self.head = nn.Linear(FEATURE_COUNT, classes)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch classes"]]:
        """Returns features (non-negative) and class logits."""
        x = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=False):
            x = functional.relu(norm(convolution(x)))
        features = functional.relu(self.norms[-1](self.embedding(x.flatten(1))))
        return features, self.head(features)

    def fused(self) -> "Classifier":
        """Returns the same function, with each batch normalisation folded into the layer before it."""
        trained = copy.deepcopy(self).eval()
        folded = copy.deepcopy(trained)
        for i, norm in enumerate(trained.norms[:-1]):
            if isinstance(norm, nn.BatchNorm2d):
                folded.convolutions[i] = fusion.fuse_conv_bn_eval(trained.convolutions[i], norm)
        if isinstance(trained.norms[-1], nn.BatchNorm1d):
            folded.embedding = fusion.fuse_linear_bn_eval(trained.embedding, trained.norms[-1])
        folded.norms = nn.ModuleList(nn.Identity() for _ in trained.norms)
        return folded


class Reading(NamedTuple):
    """Holds what is read of images: features, and by a classifier the most likely classes, and the logits of all."""

    features: Float[Tensor, "batch features"]
    classes: Int[Tensor, " batch"] | None
    # None for combinations of classes.
    logits: Float[Tensor, "batch classes"] | None


@dataclass(frozen=True)
class Extractor:
    """Holds a frozen classifier with its identity."""

    classifier: Classifier
    # The data that it was trained on.
    name: str
    # The seed of its training.
    seed: int
    # On the test images of its data.
    accuracy: float
    # Of the bytes of its file.
    sha256: str
    # Of the images that it takes.
    shape: tuple[int, int, int]
    classes: int
    # Of its features over the training images: (features,), float64.
    mean: Tensor
    deviation: Tensor
    # The metadata of its file.
    facts: Mapping[str, Any]

    @torch.no_grad()
    def features_and_logits(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch classes"]]:
        """Returns features and class logits, float32, of images in [-1, 1]. Works in chunks, in little memory."""
        if images.shape[1:] != self.shape:
            raise ValueError(f"the extractor {self.name} takes images of {self.shape}, not {tuple(images.shape[1:])}")
        # Allocated before the feature maps: small results that are kept between them would make the heap grow.
        features, logits = (
            torch.empty(len(images), width, device=images.device) for width in (FEATURE_COUNT, self.classes)
        )
        size = chunk_rows(_CHUNK, images)
        for start in range(0, len(images), size):
            chunk = images[start : start + size].float().contiguous(memory_format=_layout(images.device))
            features[start : start + size], logits[start : start + size] = self.classifier(chunk)
        return features, logits

    def __call__(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch alive"]:
        """Returns standardised features, as most metrics need: an `extractor` of the torchmetrics metrics."""
        return self.standardize(self.read(images).features)

    def read(self, images: Float[Tensor, "batch channels height width"]) -> Reading:
        """Returns features, the most likely classes, and logits."""
        features, logits = self.features_and_logits(images)
        return Reading(features, logits.argmax(1), logits)

    def standardize(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch alive"]:
        """Standardises features by their mean and deviation over training images, and leaves out dead units.

        Raises Unmeasurable if all units are dead.
        """
        alive, mean, deviation = self._alive
        return (features[:, alive] - mean.to(features)) / deviation.to(features)

    @functools.cached_property
    def _alive(self) -> tuple[Int[Tensor, " alive"], Float[Tensor, " alive"], Float[Tensor, " alive"]]:
        """The indices, means and deviations of the units that are not dead."""
        least = max(DEAD * self.deviation.max(), _ROUNDING * self.mean.abs().max())
        (alive,) = (self.deviation > least).nonzero(as_tuple=True)
        if not len(alive):
            raise Unmeasurable("the classifier takes all training images for the same")
        return alive, self.mean[alive], self.deviation[alive]

    def to(self, device: torch.device | str) -> "Extractor":
        """Returns this extractor on a device."""
        moved = copy.deepcopy(self.classifier).to(device, memory_format=_layout(torch.device(device)))
        return replace(self, classifier=moved, mean=self.mean.to(device), deviation=self.deviation.to(device))


@dataclass(frozen=True)
class Channelwise:
    """Reads each colour channel of a stack of grey images by itself.

    A stack of three digits has three times the features, and a class for each combination, of which the first channel
    is the most significant digit (stacked MNIST: Metz et al. 2017; Srivastava et al. 2017).
    """

    extractor: Extractor
    channels: int

    def read(self, images: Float[Tensor, "batch channels height width"]) -> Reading:
        """Returns the features of all channels side by side, and the class of the combination."""
        features, classes, _ = self.extractor.read(images.flatten(0, 1)[:, None])
        places = self.extractor.classes ** torch.arange(self.channels - 1, -1, -1, device=images.device)
        return Reading(features.view(len(images), -1), (classes.view(len(images), -1) * places).sum(1), None)

    def standardize(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch alive"]:
        """Standardises each channel's features as Extractor.standardize does."""
        channels = features.view(len(features), self.channels, -1).unbind(1)
        return torch.cat([self.extractor.standardize(each) for each in channels], dim=1)

    def to(self, device: torch.device | str) -> "Channelwise":
        """Returns this reader on a device."""
        return replace(self, extractor=self.extractor.to(device))


FrozenClassifier = Extractor | Channelwise
"""Reads images as features and predicted classes, and standardises features."""


def save_extractor(
    path: Path, classifier: Classifier, mean: Tensor, deviation: Tensor, facts: Mapping[str, Any]
) -> None:
    """Writes a fused classifier, the statistics of its features over training images, and its facts.

    facts: at least name, seed, accuracy, shape and classes. They become one JSON text, because the order of several
    metadata entries varies between runs, and the file's bytes are the identity.
    """
    tensors = {name: value.detach().contiguous() for name, value in classifier.state_dict().items()}
    tensors |= {"statistics.mean": mean.double(), "statistics.deviation": deviation.double()}
    data = safetensors.torch.save(tensors, metadata={"extractor": json.dumps(dict(facts), sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_bytes(data)
    beside.replace(path)


def read_extractor(path: Path) -> Extractor:
    """Reads an extractor. Raises BadExtractor for a file that is missing, damaged or of another kind."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise BadExtractor(f"{path} is no extractor: it has {size} bytes, and at most {_LARGEST_FILE} are expected")
        data = path.read_bytes()
    except OSError as error:
        raise BadExtractor(f"the extractor {path} cannot be read: {error.strerror}") from None
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = json.loads(header["__metadata__"]["extractor"])
        shape, classes = tuple(int(n) for n in facts["shape"]), int(facts["classes"])
        if len(shape) != 3 or not all(0 < n <= LARGEST_IMAGE_SIDE for n in shape) or not 1 < classes <= 10_000:
            raise ValueError("its shape or its number of classes is out of range")
        tensors = safetensors.torch.load(data)
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            raise ValueError("a weight is not finite")
        mean, deviation = (tensors.pop(f"statistics.{name}") for name in ("mean", "deviation"))
        if mean.shape != (FEATURE_COUNT,) or deviation.shape != (FEATURE_COUNT,) or not bool((deviation >= 0).all()):
            raise ValueError("its statistics are not those of its features")
        if any(value.dtype != torch.float32 for value in tensors.values()):
            raise ValueError("a weight is not float32")
        # On the meta device, so that no initial weights are drawn from the global random state.
        with torch.device("meta"):
            classifier = Classifier(shape, classes)
        classifier.load_state_dict(tensors, assign=True)
        name, seed, accuracy = str(facts["name"]), int(facts["seed"]), float(facts["accuracy"])
    except Exception as error:  # safetensors, json and torch each raise their own errors for damaged bytes
        cause = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BadExtractor(
            f"{path} is not an extractor of this project, or is damaged ({cause}); "
            f"restore it, or train it again with python -m benchmarks.extractors"
        ) from None
    classifier.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    digest = hashlib.sha256(data).hexdigest()
    return Extractor(classifier, name, seed, accuracy, digest, shape, classes, mean, deviation, facts)


def pinned_path(name: str, seed: int = 0) -> Path:
    """Returns the path of a dataset's pinned extractor; the file need not exist."""
    return PINNED / f"{name}-{seed}.safetensors"


def load_extractor(name: str, seed: int = 0) -> Extractor:
    """Reads the pinned extractor `metrics/extractors/<name>-<seed>.safetensors`. Raises BadExtractor."""
    return read_extractor(pinned_path(name, seed))
