"""The GAN of Goodfellow et al. 2014 with linear layers, unconditional."""

from variants.base import Variant
from variants.networks import READS, build
from variants.recipe import Recipe

# As in cgan_mlp, but for the labels.
DEFAULT = Recipe(
    generator_widths=(256, 512),
    discriminator_widths=(512, 256),
    generator_normalization="batch",
    generator_lr=1e-3,
    discriminator_lr=1e-3,
    averaging=0.99,
)

VARIANT = Variant(
    name="vanilla_gan",
    summary="linear layers, unconditional (Goodfellow et al. 2014)",
    claims=("A", "B1", "B2", "D"),
    build=build,
    recipes={
        "default": DEFAULT,
        "small": DEFAULT.with_({"epochs": 100, "batch_size": 64}),
        # Two units of noise and 2×128 ReLU: the smallest setup known to show collapse on the ring, and its remedy.
        "points": Recipe(
            noise_size=2,
            generator_widths=(128, 128),
            discriminator_widths=(128, 128),
            negative_slope=0.0,
            generator_lr=1e-3,
            discriminator_lr=1e-3,
            epochs=20,
            epoch_updates=500,
        ),
    },
    reads=READS,
)
