"""Defines what a run is: everything that can change its result, frozen, and the key made of it. Needs no torch.

Device, thread count and versions are environment: recorded with a run, and no part of its key.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from variants.recipe import NEUTRAL, Recipe, UserError, checked, shown, unknown

# Samples in an evaluation if a config does not say; any other number is part of the key.
SAMPLES = 10_000
# Samples in an evaluation if the user does not say: half the test images of MNIST, so that the other half can stand for
# samples when the metrics of real data are measured.
DEFAULT_SAMPLES = 5_000
# Probes that are cheap enough for every run in which they can be measured.
DEFAULT_PROBES = ("generalization_gap", "label_use")
# Number formats of the networks' layers in training; the first is the default.
PRECISIONS = ("float32", "tf32", "bfloat16")
# Stands for a config's extractor until the classifier of such data is trained.
PENDING = "pending"
FOLDER = "folder:"
# A rectangle, as the option --image-size takes it: height, then width.
SIZE = r"\d{1,6}x\d{1,6}"
# The name of a run folder, which is no path, and the key of its config.
_PARENT = re.compile(r"(?!\.)[\w.-]{1,250}:[0-9a-f]{64}")

PROTOCOL_VERSION = 2
"""Counts the changes in what an evaluation measures, and how; recorded with a run, and no part of its key.

2: real data is a random sample of the reference against the rest of it, the discriminator's curves are means over all
of its steps, and the figures in CHANGED have new definitions.
"""
CHANGED = ("copies", "copies_pixels", "checkerboard")


def _setting(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class DatasetConfig:
    """Says which data a run uses, and how it is prepared.

    Every dataset takes only some options; `benchmarks.datasets.load` refuses the others unless they are neutral.
    """

    # A registered name, or folder:PATH, of which the name keeps the last part of PATH, for display.
    name: str = "auto"
    # Absolute path of a folder of images, else "". No part of the key or of equality: images may move.
    path: str = field(default="", compare=False, kw_only=True)
    image_size: int = _setting(
        0, "height and width to which images are resized, or HEIGHTxWIDTH; 0: the dataset's own", least=0, pattern=SIZE
    )
    # The width where it is not the height, else 0. Set by an image_size such as "28x40".
    image_width: int = field(default=0, kw_only=True)
    examples: int = _setting(0, "training examples, with the classes in their proportions; 0: all", least=0)
    dropped_classes: int = _setting(0, "number of classes, the last ones, that are left out of training", least=0)
    radius: float = _setting(0.0, "radius of the circle of modes; 0: the dataset's own", least=0)
    spacing: float = _setting(0.0, "distance between neighbouring modes; 0: the dataset's own", least=0)
    sigma: float = _setting(0.0, "standard deviation of each mode; 0: the dataset's own", least=0)
    modes: int = _setting(0, "number of modes; 0: the dataset's own", least=0)

    def __post_init__(self) -> None:
        if isinstance(self.image_size, str) and re.fullmatch(SIZE, self.image_size):
            height, width = map(int, self.image_size.split("x"))
            object.__setattr__(self, "image_size", height)
            object.__setattr__(self, "image_width", width if width != height else 0)
            if not height or not width:
                raise UserError(f"--image-size has sides of at least 1, not {height}x{width}")
        for f in fields(self):
            if f.metadata or f.name == "image_width":
                object.__setattr__(self, f.name, checked(f, getattr(self, f.name)))
        if not isinstance(self.name, str) or not isinstance(self.path, str):
            raise UserError(f"a dataset has a name and a path of text, not {shown(self.name)} and {shown(self.path)}")
        if self.image_width and not (self.image_width > 0 and self.image_size not in (0, self.image_width)):
            raise UserError(f"an image width of {self.image_width} does not go with a size of {self.image_size}")
        if not self.path and self.name.startswith(FOLDER) and self.name != FOLDER:
            object.__setattr__(self, "path", _absolute(self.name.removeprefix(FOLDER)))
            object.__setattr__(self, "name", FOLDER + os.path.basename(self.path))
        # Otherwise the folder that is named would not be the folder that is read.
        if self.path and (not os.path.isabs(self.path) or self.name != FOLDER + os.path.basename(self.path)):
            raise UserError(f"the dataset {shown(self.name)} does not lie in {shown(self.path)}")

    @property
    def size(self) -> tuple[int, int] | None:
        """Returns the height and width to which images are resized; None for the dataset's own."""
        return (self.image_size, self.image_width or self.image_size) if self.image_size else None

    def options(self) -> dict[str, Any]:
        """Returns the options that are set, by their names and as they are written on a command line."""
        told = self.as_dict(neutral=False)
        if width := told.pop("image_width", 0):
            told["image_size"] = f"{self.image_size}x{width}"
        del told["name"]
        return told

    def as_dict(self, *, neutral: bool = True) -> dict[str, Any]:
        """Returns JSON values; with neutral=False only the name and the options that are set."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if neutral:
            return values
        defaults = {f.name: f.default for f in fields(self) if f.compare}
        return {name: values[name] for name in defaults if name == "name" or values[name] != defaults[name]}


def _absolute(path: str) -> str:
    """Returns the path with links resolved. Raises UserError for text that is no path, or not UTF-8."""
    try:
        found = os.path.realpath(os.path.expanduser(path))
        found.encode()
    except ValueError:
        raise UserError(f"{shown(path)} is not the name of a folder in UTF-8; rename the folder") from None
    return found


@dataclass(frozen=True)
class RunConfig:
    """Holds everything that can change the result of one run."""

    variant: str
    recipe: Recipe
    dataset: DatasetConfig
    seed: int
    # SHA-256 of the dataset's tensors, in hexadecimal.
    checksum: str
    # SHA-256 of the weights of the classifiers that judge, in hexadecimal; PENDING until they are trained.
    extractor: str
    # Epochs between evaluations; the last epoch always has one.
    evaluate_every: int = 1
    # Generated samples in an evaluation.
    samples: int = SAMPLES
    # Whether the last evaluation has the costly metrics, too.
    thorough: bool = True
    # Number format of the networks' layers in training; losses, weights and evaluations are float32.
    precision: str = PRECISIONS[0]
    # Names of the probes, sorted.
    probes: tuple[str, ...] = DEFAULT_PROBES
    # Whether the last evaluation has figures of Inception, too, which compare with those of papers.
    inception: bool = False
    # The plugins in use, each as name:SHA-256 of its source, sorted.
    plugins: tuple[str, ...] = ()
    # The identity of the run from whose last checkpoint this one goes on; "" where it begins anew.
    parent: str = ""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS, see="it is one of " + ", ".join(PRECISIONS))
        if not isinstance(self.probes, tuple | list) or not all(isinstance(name, str) for name in self.probes):
            raise UserError(f"--probes takes names, not {shown(self.probes)}")
        object.__setattr__(self, "probes", tuple(sorted(set(self.probes))))
        if not isinstance(self.plugins, tuple | list) or not all(map(_is_plugin, self.plugins)):
            raise UserError(f"plugins are given as name:SHA-256, not {shown(self.plugins)}")
        object.__setattr__(self, "plugins", tuple(sorted(set(self.plugins))))
        if not isinstance(self.parent, str) or (self.parent and not _PARENT.fullmatch(self.parent)):
            raise UserError(f"a parent is given as name:SHA-256, not {shown(self.parent)}")

    def as_dict(self, *, neutral: bool = True) -> dict[str, Any]:
        """Returns JSON values; with neutral=False without the fields at their neutral default, as in the key."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if neutral or getattr(self, f.name) != f.default}
        parts = {name: values[name].as_dict(neutral=neutral) for name in ("recipe", "dataset")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in {**values, **parts}.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Inverts as_dict, of either form. Raises UserError for unknown fields and for values out of range."""
        try:
            rest = {k: v for k, v in values.items() if k not in ("recipe", "dataset")}
            return cls(recipe=NEUTRAL.with_(values["recipe"]), dataset=DatasetConfig(**values["dataset"]), **rest)
        except (TypeError, KeyError) as error:
            raise UserError(f"this is not the config of a run: {str(error)[:200]}") from None

    @property
    def key(self) -> str:
        """Returns the SHA-256 of the canonical JSON, which identifies the run. Raises UserError while PENDING."""
        if self.extractor == PENDING:
            raise UserError(
                f"the classifier that judges {self.dataset.name} is not trained yet, and a run has no key before; "
                "benchmarks.training.configure.add_classifier trains it, as train does"
            )
        text = json.dumps(self.as_dict(neutral=False), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def identity(self) -> str:
        """Returns name:key, by which the config of another run names this one as its parent."""
        return f"{self.name}:{self.key}"

    @property
    def parent_name(self) -> str:
        """Returns the name of the run folder of the parent; "" without one."""
        return self.parent.partition(":")[0]

    @property
    def name(self) -> str:
        """Returns the name of the run folder and of the MLflow run."""
        dataset = "".join(c if c.isalnum() or c in "_." else "-" for c in self.dataset.name.replace(":", "-")).strip(
            "-."
        )[-40:]
        return f"{self.variant}-{dataset}-s{self.seed}-{self.key[:8]}"


def _is_plugin(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,100}:[0-9a-f]{64}", value) is not None
