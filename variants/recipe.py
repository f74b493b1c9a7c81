"""Defines the recipe: every choice about training a variant and about its networks.

A recipe is plain, frozen data and needs no torch, so that a command line can be built from it at once.
Its fields come in two parts. *Training* fields mean the same for every variant. *Architecture* fields are
read by some variants only (`Variant.reads`); setting one that a variant does not read is refused. No field is
None: 0, or "none", means off. The defaults below are *neutral*: they switch nothing on, and they never change,
because the key of a run leaves out the fields that are at their neutral default.
"""

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

LAYERS = ("linear", "convolutional", "residual")
# Of differentiable augmentation, in the order in which its parts are applied.
AUGMENTATIONS = (
    "none",
    "color",
    "translation",
    "cutout",
    "color,translation",
    "color,cutout",
    "translation,cutout",
    "color,translation,cutout",
)
CONDITIONING = ("none", "embedding", "channel", "projection", "auxiliary", "generator", "separate", "text")


class UserError(ValueError):
    """Reports a mistake of the person at the keyboard, in one sentence."""

    def __init__(self, sentence: str) -> None:
        # What it quotes may be a stranger's: no other lines, and nothing that a terminal obeys.
        super().__init__("".join(each if each.isprintable() else " " for each in sentence))


def shown(value: Any) -> str:
    """Quotes a value for a sentence, cut to 100 characters: a stranger's file may hold anything."""
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"


def unknown(kind: str, name: str, known: Iterable[str], see: str = "--list shows all") -> UserError:
    """Makes the error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(name)[:100], list(known), n=1, cutoff=0.5)
    return UserError(f"unknown {kind} {shown(name)}; " + (f"did you mean {near[0]!r}? ({see})" if near else see))


def _training(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"part": "training", "help": help, **limits})


def _architecture(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"part": "architecture", "help": help, **limits})


def checked(f: Field, value: Any) -> Any:
    """Converts a value to a dataclass field's type. Raises UserError for another type, or beyond the limits.

    Text that matches the field's `pattern` stays text, for the dataclass itself to take apart.
    """
    limits, option = f.metadata, "--" + f.name.replace("_", "-")
    if isinstance(value, str) and limits.get("pattern") and re.fullmatch(limits["pattern"], value):
        return value
    if isinstance(f.default, tuple):
        if not isinstance(value, (tuple, list)):
            raise UserError(f"{option} takes whole numbers, not {shown(value)}")
        return tuple(_number(option, int, limits, item) for item in value)
    if isinstance(f.default, bool):
        if not isinstance(value, bool):
            raise UserError(f"{option} is true or false, not {shown(value)}")
        return value
    if isinstance(f.default, str):
        if limits.get("choices") and value not in limits["choices"]:
            raise UserError(f"{option} is one of {', '.join(limits['choices'])}, not {shown(value)}")
        if not isinstance(value, str):
            raise UserError(f"{option} is a name, not {shown(value)}")
        return value
    return _number(option, type(f.default), limits, value)


def _number(option: str, kind: type, limits: Mapping[str, Any], value: Any) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        # A whole number may be more than any float.
        or not abs(value) <= sys.float_info.max
        or kind(value) != value
    ):
        raise UserError(f"{option} is {wanted}, not {shown(value)}")
    if "least" in limits and value < limits["least"]:
        raise UserError(f"{option} is at least {limits['least']}, not {shown(value)}")
    if "above" in limits and value <= limits["above"]:
        raise UserError(f"{option} is above {limits['above']}, not {shown(value)}")
    if "below" in limits and value >= limits["below"]:
        raise UserError(f"{option} is below {limits['below']}, not {shown(value)}")
    return kind(value)


@dataclass(frozen=True)
class Recipe:
    """Holds how a variant is trained, and what its networks are made of.

    The metadata of a field holds its part, its help, and its limits: `least` (inclusive), `above` and `below`
    (exclusive), and `choices`, a tuple. The names of noises and losses are open (plugins add some) and are
    checked where they are used.
    """

    noise: str = _training("gaussian", "distribution of the generator's input")
    noise_size: int = _training(100, "dimensions of the generator's input", least=1)
    loss: str = _training("non_saturating", "adversarial loss of both networks")
    epochs: int = _training(20, "epochs to train", least=1)
    epoch_updates: int = _training(0, "generator updates in an epoch; 0: training examples // batch size", least=0)
    batch_size: int = _training(128, "real examples in a batch", least=2)
    critic_steps: int = _training(1, "discriminator updates before each generator update", least=1)
    critic_batch: str = _training(
        "fresh", "real batch of these updates: a fresh one each, or one for all", choices=("fresh", "same")
    )
    optimizer: str = _training("adam", "optimiser of both networks", choices=("adam", "sgd"))
    generator_lr: float = _training(2e-4, "learning rate of the generator", above=0)
    discriminator_lr: float = _training(2e-4, "learning rate of the discriminator", above=0)
    beta1: float = _training(0.5, "first decay rate of Adam, or momentum of SGD", least=0, below=1)
    beta2: float = _training(0.999, "second decay rate of Adam", least=0, below=1)
    lr_decay: str = _training("none", "how both learning rates fall to 0 over the run", choices=("none", "linear"))
    averaging: float = _training(
        0.0, "decay of the averaged weights that samples come from; 0: no average", least=0, below=1
    )
    pack: int = _training(1, "examples that the discriminator judges together", least=1)
    replay: float = _training(0.0, "share of old fakes among the discriminator's fakes", least=0, below=1)
    replay_size: int = _training(10_000, "number of old fakes to keep", least=1)
    label_smoothing: float = _training(0.0, "distance of the target of real examples from 1", least=0, below=1)
    instance_noise: float = _training(0.0, "deviation of noise on all examples; falls to 0 over the run", least=0)
    weight_clip: float = _training(0.0, "largest size of a discriminator's weight; 0: no limit", least=0)
    gradient_penalty: float = _training(0.0, "weight of the penalty on gradient norms that are not 1", least=0)
    gradient_penalty_at: str = _training(
        "between", "where: between real examples and fakes, or around the data", choices=("between", "data")
    )
    r1: float = _training(0.0, "weight of the penalty on gradients at real examples", least=0)
    r2: float = _training(0.0, "weight of the penalty on gradients at fakes", least=0)
    information: float = _training(1.0, "weight of the information that fakes give about their code", above=0)
    unrolled_steps: int = _training(0, "discriminator updates that a generator update looks ahead", least=0)
    matching_aware: bool = _training(False, "count real examples with wrong captions as fakes")
    shuffled_conditions: bool = _training(False, "give real examples the labels or captions of others, as a control")

    generator_layers: str = _architecture("linear", "layers of the generator", choices=LAYERS)
    discriminator_layers: str = _architecture("linear", "layers of the discriminator", choices=LAYERS)
    generator_widths: tuple[int, ...] = _architecture(
        (), "units or channels of the generator's hidden layers, from the noise on", least=1
    )
    discriminator_widths: tuple[int, ...] = _architecture(
        (), "units or channels of the discriminator's, from the image on", least=1
    )
    conditioning: str = _architecture("none", "how a label enters both networks", choices=CONDITIONING)
    embedding_size: int = _architecture(0, "dimensions of a label's embedding; 0: as many as classes", least=0)
    generator_normalization: str = _architecture(
        "none", "normalisation of the generator's hidden layers", choices=("none", "batch", "conditional_batch")
    )
    generator_spectral: bool = _architecture(False, "divide the generator's weights by their largest singular values")
    discriminator_normalization: str = _architecture(
        "none", "normalisation of the discriminator's hidden layers", choices=("none", "batch", "spectral")
    )
    negative_slope: float = _architecture(0.2, "slope of LeakyReLU below zero; 0 makes it ReLU", least=0, below=1)
    dropout: float = _architecture(0.0, "share of the discriminator's hidden units to drop", least=0, below=1)
    minibatch_discrimination: int = _architecture(0, "kernels of minibatch discrimination; 0: none", least=0)
    attention: bool = _architecture(False, "self-attention on maps of half the image's sides, in residual networks")
    code_classes: int = _architecture(0, "classes of the code that fakes have to show; 0: none", least=0)
    code_values: int = _architecture(0, "continuous values of that code; 0: none", least=0)
    upsampling: str = _architecture(
        "transposed", "how feature maps grow", choices=("transposed", "resize", "pixel_shuffle")
    )
    upsampling_kernel: int = _architecture(4, "kernel size of the generator's convolutions", least=2)
    downsampling: str = _architecture("strided", "how feature maps shrink", choices=("strided", "pool"))
    diff_augment: str = _architecture(
        "none", "differentiable augmentation of all that the discriminator sees", choices=AUGMENTATIONS
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f, getattr(self, f.name)))

    def with_(self, overrides: Mapping[str, Any]) -> "Recipe":
        """Returns this recipe with some fields changed. Raises UserError for a field that does not exist."""
        for name in overrides:
            if name not in FIELDS:
                raise unknown("recipe field", name, FIELDS, see="--help shows all")
        return replace(self, **{name: checked(FIELDS[name], value) for name, value in overrides.items()})

    def as_dict(self, *, neutral: bool = True) -> dict[str, Any]:
        """Returns the fields as JSON values; with neutral=False only those that differ from the neutral default."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        if neutral:
            return values
        return {name: v for name, v in values.items() if getattr(self, name) != FIELDS[name].default}


FIELDS = {f.name: f for f in fields(Recipe)}
NEUTRAL = Recipe()


def code_size(recipe: Recipe) -> int:
    """Counts the numbers of the noise that are a code, which fakes have to show (`variants.information`)."""
    return recipe.code_classes + recipe.code_values
