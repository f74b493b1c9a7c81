"""Defines the conditional GAN of Mirza & Osindero 2014 with linear layers: I1b and I3b–I3d of the source.

The label's embedding is concatenated with the noise in the generator, with the flattened image in the discriminator.
"""

from variants import vanilla_gan
from variants.base import Variant
from variants.networks import CONDITIONAL_READS, LABELLED, build
from variants.recipe import Recipe

# I3 to the letter. The widths are chosen, not tuned: the source only says that both networks are simple.
REPORT = Recipe(
    noise_size=100,
    loss="non_saturating",
    epochs=60,
    batch_size=128,
    critic_steps=5,
    critic_batch="same",
    generator_lr=1e-4,
    discriminator_lr=1e-4,
    beta1=0.9,
    generator_widths=(256, 512, 1024),
    discriminator_widths=(1024, 512, 256),
    conditioning="embedding",
    dropout=0.3,
)

DEFAULT = vanilla_gan.DEFAULT.with_({"conditioning": "embedding"})

VARIANT = Variant(
    name="cgan_mlp",
    summary="linear layers; the label's embedding joins the noise and the image (Mirza & Osindero 2014)",
    claims=("I1b", "I2", "I3"),
    build=build,
    recipes={
        "default": DEFAULT,
        "small": DEFAULT.with_(vanilla_gan.SMALL),
        "points": vanilla_gan.POINTS.with_({"conditioning": "embedding"}),
        "report": REPORT,
    },
    reads=CONDITIONAL_READS,
    conditionings=LABELLED,
    not_stackable_because="",
)
