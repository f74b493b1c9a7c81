"""Defines R3GAN, Huang et al. 2024: the relativistic loss with R1 and R2, on residual networks without normalisation.

The paper's blocks have bottlenecks and grouped convolutions; these are plain ones (`variants/residual.py`).
"""

from variants import dcgan, sngan
from variants.base import Variant
from variants.networks import READS, build

DEFAULT = sngan.RESIDUAL.with_(
    {
        "loss": "relativistic",
        "r1": 0.3,
        "r2": 0.3,
        "generator_normalization": "none",
        "discriminator_normalization": "none",
        "negative_slope": 0.2,
        "beta1": 0.0,
        "beta2": 0.9,
    }
)

VARIANT = Variant(
    name="r3gan",
    summary="relativistic loss, R1 and R2, residual networks without normalisation (Huang et al. 2024)",
    claims=("B1", "B2"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(sngan.SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
