"""Defines DRAGAN, Kodali et al. 2017: a DCGAN whose discriminator has gradients of norm 1 around the data.

The penalty is on the gradient of each example alone, so the discriminator has no batch normalisation.
"""

from variants import dcgan
from variants.base import Variant
from variants.networks import READS, build

# dcgan's rates: on MNIST, 300 updates, one seed, FID is 25.0, dcgan's 27.2.
DEFAULT = dcgan.DEFAULT.with_(
    {"gradient_penalty": 10.0, "gradient_penalty_at": "data", "discriminator_normalization": "none"}
)

VARIANT = Variant(
    name="dragan",
    summary="DCGAN with a gradient penalty around the data (Kodali et al. 2017)",
    claims=("B1", "B2"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
