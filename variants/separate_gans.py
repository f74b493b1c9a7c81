"""Defines one GAN for each class, trained as one variant: B1b of the source.

A batch is dealt out by label; each class has a generator and a discriminator of its own, which never see another class.
"""

import torch
from torch import Tensor, nn

from variants import cgan_mlp
from variants.base import DataSpec, DiscriminatorOutput, Variant
from variants.losses import LOSSES
from variants.networks import CONDITIONAL_READS
from variants.networks import build as build_pair
from variants.recipe import Recipe, UserError


def deal(inputs: Tensor, labels: Tensor, classes: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Splits a batch by class; returns the parts, and the places of their results in the batch once they are joined."""
    order = labels.argsort(stable=True)
    return inputs[order].split(labels.bincount(minlength=classes).tolist()), order.argsort()


class Generators(nn.ModuleList):
    """Maps noise (batch, noise_size) and labels (batch,) to samples (batch, *shape), by the network of each label."""

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            # A program cannot have parts as large as its labels say: all networks make all samples, of which one stays.
            every = torch.stack([network(noise) for network in self], dim=1)
            return every[torch.arange(noise.shape[0], device=noise.device), condition]
        parts, places = deal(noise, condition, len(self))
        return torch.cat([network(part) for network, part in zip(self, parts, strict=True) if len(part)])[places]


class Discriminators(nn.ModuleList):
    """Maps examples (batch, *shape) and labels (batch,) to logits (batch,), by the network of each label."""

    def forward(self, examples: Tensor, condition: Tensor) -> DiscriminatorOutput:
        parts, places = deal(examples, condition, len(self))
        logits = [network(part).logits for network, part in zip(self, parts, strict=True) if len(part)]
        return DiscriminatorOutput(torch.cat(logits)[places])


def build(spec: DataSpec, recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    if recipe.pack > 1:
        raise UserError("--pack would mix the parts of a batch that separate_gans deals out; take another variant")
    if LOSSES[recipe.loss].compares:
        raise UserError(f"--loss {recipe.loss} compares examples in pairs, and here a pair may have two discriminators")
    alone = recipe.with_({"conditioning": "none"})
    pairs = [build_pair(spec, alone) for _ in range(spec.classes)]
    return Generators([generator for generator, _ in pairs]), Discriminators([judge for _, judge in pairs])


# Without batch normalisation: a class may have a single example in a batch, and no statistics can be had of that.
ALONE = {"conditioning": "separate", "generator_normalization": "none"}

VARIANT = Variant(
    name="separate_gans",
    summary="one GAN for each class, each with all its widths (the costly remedy of B1b)",
    claims=("B1b",),
    build=build,
    recipes={name: cgan_mlp.VARIANT.recipes[name].with_(ALONE) for name in ("default", "small", "points")},
    # The parts of a batch that are dealt out have no codes.
    reads=CONDITIONAL_READS - {"code_classes", "code_values"},
    conditionings=("separate",),
    not_stackable_because="each seed deals its batch out to the classes in other parts",
)
