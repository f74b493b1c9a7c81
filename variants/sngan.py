"""Defines SNGAN, Miyato et al. 2018: spectral normalisation, residual networks, hinge loss, unconditional.

The networks are smaller than the paper's (`variants/residual.py`).
"""

from variants import dcgan
from variants.base import Variant
from variants.networks import READS, build

# Widths for which an update takes half as long again as dcgan's, and dcgan's rates. On MNIST, 300 updates, one seed,
# FID is 19.4, dcgan's 27.2. One discriminator step, where the paper has five.
RESIDUAL = dcgan.DEFAULT.with_(
    {
        "generator_layers": "residual",
        "discriminator_layers": "residual",
        "generator_widths": (32, 16),
        "discriminator_widths": (16, 32),
        "negative_slope": 0.0,
    }
)
DEFAULT = RESIDUAL.with_({"loss": "hinge", "discriminator_normalization": "spectral", "beta1": 0.0, "beta2": 0.9})
SMALL = dcgan.SMALL | {"generator_widths": (24,), "discriminator_widths": (24,)}

VARIANT = Variant(
    name="sngan",
    summary="residual networks with spectral normalisation and hinge loss (Miyato et al. 2018)",
    claims=("B1", "B2"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
