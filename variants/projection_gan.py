"""Defines the projection GAN of Miyato & Koyama 2018: SNGAN, to which a label is told.

In the generator it chooses the gains and biases of conditional batch normalisation; in the discriminator, the inner
product of its embedding with the last features is added to the logit.
"""

from variants import dcgan, sngan
from variants.base import Variant
from variants.networks import CONDITIONAL_READS, LABELLED, build

# SNGAN's rates: on digits, 880 updates, one seed, FID is 0.55 and accuracy .99; SNGAN's FID is 4.9, dcgan's 13.5.
DEFAULT = sngan.DEFAULT.with_({"conditioning": "projection", "generator_normalization": "conditional_batch"})

VARIANT = Variant(
    name="projection_gan",
    summary="SNGAN with conditional batch normalisation and a projected label (Miyato & Koyama 2018)",
    claims=("I2",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(sngan.SMALL)},
    reads=CONDITIONAL_READS,
    conditionings=LABELLED,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
