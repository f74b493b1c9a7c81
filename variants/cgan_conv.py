"""Defines a conditional GAN with convolutions, where a label is one more channel: I1a of the source.

In both networks: one-hot → dense layer to height·width → reshaped → concatenated, in the discriminator with the image,
in the generator with the first feature map.
"""

from variants import dcgan
from variants.base import Variant
from variants.networks import CONDITIONAL_READS, LABELLED, build

DEFAULT = dcgan.DEFAULT.with_({"conditioning": "channel"})

VARIANT = Variant(
    name="cgan_conv",
    summary="convolutions; the label becomes one more channel of both networks",
    claims=("I1a", "I2"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=CONDITIONAL_READS,
    conditionings=LABELLED,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
