"""Defines InfoGAN, Chen et al. 2016: an unconditional DCGAN whose fakes have to show a code that no label taught.

The code has ten classes and two continuous values, as on MNIST in the paper; here the values are normal, like the rest
of the noise. A class of the code is no label, in whatever order the classes come. So accuracy, which is the share of
samples that show their label, is not measured.
"""

from variants import dcgan
from variants.base import Variant
from variants.networks import READS, build

# dcgan's rates: on MNIST, 300 updates, one seed, FID is 30.9, dcgan's 27.2.
DEFAULT = dcgan.DEFAULT.with_({"code_classes": 10, "code_values": 2})

VARIANT = Variant(
    name="infogan",
    summary="DCGAN whose fakes show a code that a second head reads, unconditional (Chen et al. 2016)",
    claims=("B1",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=READS,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
