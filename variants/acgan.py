"""Defines the auxiliary classifier GAN of Odena et al. 2017: a second head of the discriminator names the class.

Both networks minimise its cross-entropy, on real examples and fakes. The generator is told the label by an embedding
that joins the noise; the discriminator is not told it.
"""

from variants import dcgan
from variants.base import Variant
from variants.networks import CONDITIONAL_READS, LABELLED, build

# dcgan's rates: on MNIST, 300 updates, one seed, FID is 21.1 and accuracy .55; dcgan's FID is 27.2.
DEFAULT = dcgan.DEFAULT.with_({"conditioning": "auxiliary"})

VARIANT = Variant(
    name="acgan",
    summary="DCGAN with labels, whose discriminator also names the class (Odena et al. 2017)",
    claims=("I2",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=CONDITIONAL_READS,
    conditionings=LABELLED,
    refuses=dcgan.refuses,
    not_stackable_because="",
)
