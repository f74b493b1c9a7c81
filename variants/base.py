"""Defines the contracts of a variant: what its networks know of the data, and how they are called.

A generator is called `generator(noise, condition)` and a discriminator `discriminator(images, condition)`. The
condition is a tensor of labels, a tensor of tokens, or None; an unconditional network ignores it. So the training steps
have no branch on the variant.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from variants.recipe import FIELDS, NEUTRAL, Recipe, UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class DataSpec:
    """Holds what a network needs to know about the data."""

    # (channels, height, width) of an image, or (2,) for points of the plane.
    shape: tuple[int, ...]
    # Whether every value lies in [-1, 1]; only then does a generator end in tanh.
    bounded: bool = True
    # None for data without labels.
    classes: int | None = None
    # Words of the captions, in the order of their tokens; () where there are none.
    vocabulary: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Counts the values in one example."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


class DiscriminatorOutput(NamedTuple):
    """Holds what a discriminator says of a batch."""

    # Log-odds that each example is real, (batch,).
    logits: "Tensor"
    # Class logits of an auxiliary head, (batch, classes).
    classes: "Tensor | None" = None
    # What a head reads of the code of fakes, (batch, code_size): class logits, then values (`variants.information`).
    code: "Tensor | None" = None


def _serves_all(spec: DataSpec) -> str:
    return ""


@dataclass(frozen=True)
class Variant:
    """Joins networks with named recipes; experiments differ in fields of the recipe."""

    # What the command line calls it.
    name: str
    # One line for --list.
    summary: str
    # Ids of the source's claims that it serves.
    claims: tuple[str, ...]
    # Builds (generator, discriminator), initialised from torch's global random state, which the caller seeds and
    # restores.
    build: "Callable[[DataSpec, Recipe], tuple[nn.Module, nn.Module]]"
    # By name. `default` is always there, for images of about 28×28; `small` is for about 8×8, `points` for the plane.
    recipes: Mapping[str, Recipe]
    # Architecture fields of the recipe that `build` reads; setting another one is refused.
    reads: frozenset[str]
    # Ways in which it takes labels; "none" makes it unconditional.
    conditionings: tuple[str, ...] = ("none",)
    # Returns "" for data that it serves, else why it cannot, as the end of a sentence.
    refuses: Callable[[DataSpec], str] = field(default=_serves_all)
    # "" where several seeds can be stacked (`variants.stacked`) and updates recorded as CUDA graphs: its networks treat
    # each example alone, apart from layers known there. Otherwise why not, as the end of a sentence.
    not_stackable_because: str = "the variant does not say that its networks treat each example alone"

    def recipe_for(self, spec: DataSpec) -> str:
        """Names the recipe for such data where nobody chose one."""
        wanted = "points" if not spec.is_image else "small" if max(spec.shape[1:]) <= 16 else "default"
        return wanted if wanted in self.recipes else "default"

    def nearest(self, recipe: Recipe) -> tuple[str, dict[str, object]]:
        """Finds the named recipe that differs in the fewest fields; returns its name and those fields."""
        changes = {
            name: {f: getattr(recipe, f) for f in FIELDS if getattr(recipe, f) != getattr(known, f)}
            for name, known in self.recipes.items()
        }
        name = min(changes, key=lambda known: len(changes[known]))
        return name, changes[name]

    def recipe(self, name: str) -> Recipe:
        """Returns the recipe of that name. Raises UserError where there is none."""
        if name not in self.recipes:
            raise unknown(f"recipe of {self.name}", name, self.recipes, see="it has " + ", ".join(self.recipes))
        return self.recipes[name]

    def check(self, recipe: Recipe, spec: DataSpec) -> None:
        """Raises UserError where this variant cannot be trained by this recipe on such data."""
        if why := self.refuses(spec):
            raise UserError(f"{self.name} cannot be trained on data of shape {spec.shape}: {why}")
        for name, f in FIELDS.items():
            neutral = getattr(recipe, name) == getattr(NEUTRAL, name)
            if f.metadata["part"] == "architecture" and name not in self.reads and not neutral:
                raise UserError(f"--{name.replace('_', '-')} does not apply to {self.name}, which does not read it")
        if recipe.conditioning not in self.conditionings:
            able = ", ".join(self.conditionings)
            raise UserError(f"--conditioning {recipe.conditioning} does not apply to {self.name}, which takes {able}")
        if recipe.conditioning not in ("none", "text") and not spec.classes:
            raise UserError(f"{self.name} needs labels, and this dataset has none; take vanilla_gan or dcgan")
