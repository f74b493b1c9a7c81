"""What a run is: everything that can change its result, frozen, and the key made of it. Needs no torch.

Device, thread count and versions are environment: they are recorded beside a run and are not part of its key.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from variants.recipe import NEUTRAL, Recipe, UserError, checked, shown, unknown

# Fakes in an evaluation where a config says nothing; what has not this number has it in its key.
SAMPLES = 10_000
# Fakes in an evaluation where a person says nothing: half the test images of MNIST, so that as many of those can stand
# for samples where the metrics of real data are measured.
DEFAULT_SAMPLES = 5_000
# Probes that are cheap enough to be on in every run in which they can be measured.
PROBES = ("generalization_gap", "label_use")
# Of the networks' layers while they are trained; the first one is what is meant where nothing is said.
PRECISIONS = ("float32", "tf32", "bfloat16")
# In place of a config's extractor until the classifier that judges such data is trained.
PENDING = "pending"
FOLDER = "folder:"

PROTOCOL_VERSION = 2
"""Of what an evaluation measures, and how; recorded with a run, and no part of its key.

2: real data is a random sample of the reference against the rest of it, the discriminator's curves are means over all
of its steps, and the figures of CHANGED are defined anew.
"""
CHANGED = ("copies", "copies_pixels", "checkerboard")


def _setting(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class DatasetConfig:
    """Which data, and how it is prepared. `name` is a registered name, or `folder:PATH`.

    Of `folder:PATH` the name keeps the last part of PATH, which is displayed, and `path` the whole of it, by which the
    images are found. Every dataset takes only some options; `benchmarks.datasets.load` refuses the others unless they
    are neutral.

    path: absolute, of a folder of images, else "". It is no part of the key, and configs that differ in it are equal:
    the same images may lie elsewhere.
    """

    name: str = "auto"
    path: str = field(default="", compare=False, kw_only=True)
    image_size: int = _setting(
        0, "height and width that a folder's images are resized to; 0: as the dataset has it", least=0
    )
    examples: int = _setting(0, "training examples, each class in its share; 0: all", least=0)
    dropped_classes: int = _setting(0, "classes, the last ones, that training never sees", least=0)
    radius: float = _setting(0.0, "radius of the circle that modes lie on; 0: as the dataset has it", least=0)
    spacing: float = _setting(0.0, "distance between neighbouring modes; 0: as the dataset has it", least=0)
    sigma: float = _setting(0.0, "standard deviation of each mode; 0: as the dataset has it", least=0)
    modes: int = _setting(0, "how many modes; 0: as the dataset has it", least=0)

    def __post_init__(self) -> None:
        for f in fields(self):
            if f.metadata:
                object.__setattr__(self, f.name, checked(f, getattr(self, f.name)))
        if not isinstance(self.name, str) or not isinstance(self.path, str):
            raise UserError(f"a dataset has a name and a path of text, not {shown(self.name)} and {shown(self.path)}")
        if not self.path and self.name.startswith(FOLDER) and self.name != FOLDER:
            object.__setattr__(self, "path", _absolute(self.name.removeprefix(FOLDER)))
            object.__setattr__(self, "name", FOLDER + os.path.basename(self.path))
        # Else what is told would be another folder than what is read.
        if self.path and (not os.path.isabs(self.path) or self.name != FOLDER + os.path.basename(self.path)):
            raise UserError(f"the dataset {shown(self.name)} does not lie in {shown(self.path)}")

    def as_dict(self, *, neutral: bool = True) -> dict[str, Any]:
        """JSON values; with neutral=False only those that say which data it is: its name, and options that are set."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        if neutral:
            return told
        return {
            f.name: told[f.name] for f in fields(self) if f.compare and (f.name == "name" or told[f.name] != f.default)
        }


def _absolute(path: str) -> str:
    """The path with links resolved. Raises UserError for text that is no path, or that no file could hold."""
    try:
        found = os.path.realpath(os.path.expanduser(path))
        found.encode()
    except ValueError:
        raise UserError(f"{shown(path)} is not the name of a folder in UTF-8; rename the folder") from None
    return found


@dataclass(frozen=True)
class RunConfig:
    """Everything that can change the result of one run.

    checksum: of the dataset's tensors; extractor: SHA-256 of the weights that judge; both in hexadecimal. The latter is
    PENDING until the classifier of such data is trained.
    evaluate_every: epochs between evaluations (the last epoch is always one); samples: fakes in an evaluation.
    thorough: whether the last evaluation has the costly metrics too. precision: of the networks' layers in training;
    losses, weights and everything that judges are float32. probes: names, in the order of the alphabet.
    plugins: those that the run uses, each as name:SHA-256 of its source, in the order of the alphabet.
    """

    variant: str
    recipe: Recipe
    dataset: DatasetConfig
    seed: int
    checksum: str
    extractor: str
    evaluate_every: int = 1
    samples: int = SAMPLES
    thorough: bool = True
    precision: str = PRECISIONS[0]
    probes: tuple[str, ...] = PROBES
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS, see="it is one of " + ", ".join(PRECISIONS))
        if not isinstance(self.probes, tuple | list) or not all(isinstance(name, str) for name in self.probes):
            raise UserError(f"--probes takes names, not {shown(self.probes)}")
        object.__setattr__(self, "probes", tuple(sorted(set(self.probes))))
        if not isinstance(self.plugins, tuple | list) or not all(map(_is_plugin, self.plugins)):
            raise UserError(f"plugins are given as name:SHA-256, not {shown(self.plugins)}")
        object.__setattr__(self, "plugins", tuple(sorted(set(self.plugins))))

    def as_dict(self, *, neutral: bool = True) -> dict[str, Any]:
        """JSON values; with neutral=False the fields at their neutral default are left out, as in the key."""
        values: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "recipe":
                values["recipe"] = value.as_dict(neutral=neutral)
            elif f.name == "dataset":
                values["dataset"] = value.as_dict(neutral=neutral)
            elif neutral or value != f.default:
                values[f.name] = list(value) if isinstance(value, tuple) else value
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """The inverse of as_dict, of either form. Raises UserError for unknown fields and for values out of range."""
        try:
            rest = {k: v for k, v in values.items() if k not in ("recipe", "dataset")}
            return cls(recipe=NEUTRAL.with_(values["recipe"]), dataset=DatasetConfig(**values["dataset"]), **rest)
        except (TypeError, KeyError) as error:
            raise UserError(f"this is not the config of a run: {str(error)[:200]}") from None

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON: what makes two runs the same. Raises UserError while the judge is PENDING."""
        if self.extractor == PENDING:
            raise UserError(
                f"the classifier that judges {self.dataset.name} is not trained yet, and a run has no key before; "
                "benchmarks.training.configure.completed trains it, as train does"
            )
        text = json.dumps(self.as_dict(neutral=False), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> str:
        """What the run folder and the MLflow run are called."""
        dataset = "".join(c if c.isalnum() or c in "_." else "-" for c in self.dataset.name.replace(":", "-")).strip(
            "-."
        )[-40:]
        return f"{self.variant}-{dataset}-s{self.seed}-{self.key[:8]}"


def _is_plugin(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,100}:[0-9a-f]{64}", value) is not None
