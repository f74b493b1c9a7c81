"""Defines R3GAN, Huang et al. 2024: the relativistic loss with R1 and R2, on residual networks.

The discriminator has no normalisation, as in the paper. The generator, unlike the paper's, has batch normalisation:
without it, and with tanh at its end, the images of MNIST became dark and alike within 200 updates, at rates from 5e-4
to 2e-3 and penalties from 0.3 to 30. The blocks are plain ones, where the paper's have bottlenecks and groups.
"""

from variants import dcgan, sngan
from variants.base import Variant
from variants.networks import READS, build

# dcgan's rates and decays: on MNIST, 160 updates, one seed, FID is 52.9; with 1e-3 and the paper's decays 0 and .99 it
# is 79.1. The weight of the penalties is the paper's for stacked MNIST.
DEFAULT = sngan.RESIDUAL.with_(
    {
        "loss": "relativistic",
        "r1": 1.0,
        "r2": 1.0,
        "discriminator_normalization": "none",
        "negative_slope": 0.2,
    }
)

VARIANT = Variant(
    name="r3gan",
    summary="relativistic loss, R1 and R2, residual networks (Huang et al. 2024)",
    claims=("B1", "B2"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(sngan.SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
