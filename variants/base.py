"""The contracts of a variant: what its networks are told about the data, and what they must look like.

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
    """What a network needs to know about the data.

    shape: (channels, height, width) of an image, or (2,) for points of the plane.
    bounded: whether every value lies in [-1, 1]; only then does a generator end in tanh.
    classes: the number of classes, or None for unlabelled data.
    vocabulary: the words of its captions, in the order of their tokens; () where there are none.
    """

    shape: tuple[int, ...]
    bounded: bool = True
    classes: int | None = None
    vocabulary: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of values in one example."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of a batch.

    logits: (batch,) log-odds that each example is real; classes: (batch, classes) class logits of an auxiliary head.
    """

    logits: "Tensor"
    classes: "Tensor | None" = None


def _serves_all(spec: DataSpec) -> str:
    return ""


@dataclass(frozen=True)
class Variant:
    """Networks plus named recipes; what else differs between experiments is a field of the recipe.

    name: what the command line calls it. summary: one line for --list. claims: ids of the source's claims it serves.
    build: (DataSpec, Recipe) -> (generator, discriminator), freshly initialised from torch's global random state,
        which the caller seeds and restores.
    recipes: named recipes. `default` is always there and is meant for images of about 28×28; `small`, where there is
        one, for images of about 8×8, and `points` for points of the plane.
    reads: the architecture fields of the recipe that `build` looks at; setting another is refused.
    conditionings: the ways in which it can take labels; "none" makes it unconditional.
    refuses: DataSpec -> "" where the variant serves such data, else why it cannot, as the end of a sentence.
    one_by_one: "" where several seeds can be trained as one (`variants.stacked`), else why not, as the end of a
        sentence. They can where the networks treat each example alone, but for the layers that are told of seeds there.
        What
        cannot be trained so is not recorded as a CUDA graph either.
    """

    name: str
    summary: str
    claims: tuple[str, ...]
    build: "Callable[[DataSpec, Recipe], tuple[nn.Module, nn.Module]]"
    recipes: Mapping[str, Recipe]
    reads: frozenset[str]
    conditionings: tuple[str, ...] = ("none",)
    refuses: Callable[[DataSpec], str] = field(default=_serves_all)
    not_stackable_because: str = "the variant does not say that its networks treat each example alone"

    def recipe_for(self, spec: DataSpec) -> str:
        """The name of the recipe that is taken for such data where nobody chose one."""
        wanted = "points" if not spec.is_image else "small" if max(spec.shape[1:]) <= 16 else "default"
        return wanted if wanted in self.recipes else "default"

    def nearest(self, recipe: Recipe) -> tuple[str, dict[str, object]]:
        """The recipe that this one differs from in the fewest fields, by name, and the fields in which it does."""
        changes = {
            name: {f: getattr(recipe, f) for f in FIELDS if getattr(recipe, f) != getattr(known, f)}
            for name, known in self.recipes.items()
        }
        name = min(changes, key=lambda known: len(changes[known]))
        return name, changes[name]

    def recipe(self, name: str) -> Recipe:
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
