"""Defines what is compared: networks, noise, losses and remedies. Knows nothing of files, MLflow or command lines.

recipe.py        holds every choice of training and architecture; needs no torch
base.py          defines the contracts DataSpec, DiscriminatorOutput and Variant
NAME.py          defines one variant: its networks and its named recipes
networks.py      builds the two networks of a recipe
linear.py        builds the linear generator and discriminator
convolutional.py builds the convolutional generator and discriminator
residual.py      builds the residual generator and discriminator
conditioning.py  lets a label enter the networks
blocks.py        provides layers that can freeze their buffers and draw from a given stream
noise.py         draws the generator's input
losses.py        defines adversarial losses, from logits
batch.py         defines what one update and its losses read
penalties.py     penalises the discriminator's gradients
remedies.py      packs, compares, replays and adds noise to examples; looks ahead
augmentation.py  augments what a discriminator sees, differentiably
objective.py     makes the objective of a recipe: its loss and its terms
information.py   gives fakes a code that they have to show
stacked.py       stacks the networks of several seeds

Adding a variant takes one file that defines VARIANT, and one line in VARIANTS.
"""

import importlib

from variants.base import DataSpec, DiscriminatorOutput, Variant
from variants.recipe import Recipe, UserError, unknown

VARIANTS: dict[str, str | Variant] = {
    "vanilla_gan": "variants.vanilla_gan",
    "cgan_mlp": "variants.cgan_mlp",
    "cgan_conv": "variants.cgan_conv",
    "dcgan": "variants.dcgan",
    "dcgan_text": "variants.dcgan_text",
    "separate_gans": "variants.separate_gans",
    "wgan": "variants.wgan",
    "wgan_gp": "variants.wgan_gp",
    "lsgan": "variants.lsgan",
    "dragan": "variants.dragan",
    "sngan": "variants.sngan",
    "projection_gan": "variants.projection_gan",
    "sagan": "variants.sagan",
    "r3gan": "variants.r3gan",
    "acgan": "variants.acgan",
    "infogan": "variants.infogan",
}


def load_variant(name: str) -> Variant:
    """Imports and returns a variant. Raises UserError, with the nearest name, if there is none."""
    if name not in VARIANTS:
        raise unknown("variant", name, VARIANTS)
    entry = VARIANTS[name]
    return importlib.import_module(entry).VARIANT if isinstance(entry, str) else entry


__all__ = ["VARIANTS", "DataSpec", "DiscriminatorOutput", "Recipe", "UserError", "Variant", "load_variant", "unknown"]
