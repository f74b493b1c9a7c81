"""What is compared: networks, noise, losses and remedies. Knows nothing of files, MLflow, devices or command lines.

recipe.py        Recipe: every choice of training and architecture; needs no torch
base.py          DataSpec, DiscriminatorOutput, Variant: the contracts
noise.py         distributions of the generator's input
losses.py        adversarial losses, from logits
exchange.py      what one update sees, and what was judged of it
penalties.py     penalties on the discriminator's gradients
remedies.py      packing, minibatch discrimination, replay, instance noise, looking ahead
objective.py     what the loss and the terms of a recipe become, once
conditioning.py  the ways in which a label enters a network
blocks.py        layers that know how to be held still and from where to draw
networks.py      the linear and the convolutional generator and discriminator
seeds.py         the networks of several seeds as one
NAME.py          one variant: its networks and its named recipes

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
}


def load_variant(name: str) -> Variant:
    """The variant of that name, imported when asked for. Raises UserError, with the nearest name, if there is none."""
    if name not in VARIANTS:
        raise unknown("variant", name, VARIANTS)
    entry = VARIANTS[name]
    return importlib.import_module(entry).VARIANT if isinstance(entry, str) else entry


__all__ = ["VARIANTS", "DataSpec", "DiscriminatorOutput", "Recipe", "UserError", "Variant", "load_variant", "unknown"]
