"""Defines the GAN of Goodfellow et al. 2014 with linear layers, unconditional."""

from variants.base import Variant
from variants.networks import READS, build
from variants.recipe import Recipe

# Good digits soonest: batch normalisation in the generator, a lower first decay rate, one discriminator step; with
# labels, the best of three learning rates on one seed of MNIST (accuracy after 6 epochs: 2e-4 .64, 5e-4 .74, 1e-3 .82);
# and an averaged generator (.89), as the default of every variant of images has it.
DEFAULT = Recipe(
    generator_widths=(256, 512),
    discriminator_widths=(512, 256),
    generator_normalization="batch",
    generator_lr=1e-3,
    discriminator_lr=1e-3,
    averaging=0.99,
)

# For images of about 8x8: a quarter of the weights are enough.
SMALL = {"epochs": 160, "batch_size": 64, "generator_widths": (128, 256), "discriminator_widths": (256, 128)}

# Two units of noise and 2×128 ReLU: the smallest setup known to show collapse on the ring, and its remedy.
POINTS = Recipe(
    noise_size=2,
    generator_widths=(128, 128),
    discriminator_widths=(128, 128),
    negative_slope=0.0,
    generator_lr=1e-3,
    discriminator_lr=1e-3,
    epochs=20,
    epoch_updates=500,
)

VARIANT = Variant(
    name="vanilla_gan",
    summary="linear layers, unconditional (Goodfellow et al. 2014)",
    claims=("A", "B1", "B2", "D"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(SMALL), "points": POINTS},
    reads=READS,
    not_stackable_because="",
)
