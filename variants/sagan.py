"""Defines SAGAN, Zhang et al. 2019: a projection GAN with self-attention in both networks.

The paper also normalises the generator spectrally and lets the discriminator learn four times as fast (its sections 4.1
and 4.2): `--generator-spectral true --discriminator-lr 4e-3 --generator-lr 1e-3` does so.
"""

from variants import dcgan, projection_gan, sngan
from variants.base import Variant
from variants.networks import CONDITIONAL_READS, LABELLED, build

# With spectral normalisation in the generator, all samples of a label were alike after 600 updates on MNIST (batch 64).
# Without it they differed after 360. There, projection_gan's equal rates showed the labels sooner than the paper's.
DEFAULT = projection_gan.DEFAULT.with_({"attention": True})

VARIANT = Variant(
    name="sagan",
    summary="projection GAN with self-attention in both networks (Zhang et al. 2019)",
    claims=("I2",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(sngan.SMALL)},
    reads=CONDITIONAL_READS,
    conditionings=LABELLED,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
