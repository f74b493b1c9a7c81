"""Defines the least-squares GAN of Mao et al. 2017: a DCGAN whose logits are pulled to 1 and 0, and fakes' to 1."""

from variants import dcgan
from variants.base import Variant
from variants.networks import READS, build

# dcgan's rates: on MNIST, 300 updates, one seed, FID is 37.1 and with half of them 39.9; dcgan's is 27.2.
DEFAULT = dcgan.DEFAULT.with_({"loss": "least_squares"})

VARIANT = Variant(
    name="lsgan",
    summary="DCGAN with the least-squares loss (Mao et al. 2017)",
    claims=("B2",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
