"""Defines the DCGAN of Radford et al. 2016: C1 and C2 of the source, unconditional.

The source, unlike the paper, has LeakyReLU in the generator as well; `--negative-slope 0` makes both ReLU.
"""

from variants.base import DataSpec, Variant
from variants.networks import READS, build
from variants.recipe import Recipe

# Half as wide as is usual, so that an epoch of MNIST is about a minute on two cores; chosen, not tuned. The paper's
# rate of 2e-4 is for many more updates (docs/method.md, "The rate of the convolutional defaults").
DEFAULT = Recipe(
    epochs=8,
    generator_lr=2e-3,
    discriminator_lr=2e-3,
    generator_layers="convolutional",
    discriminator_layers="convolutional",
    generator_widths=(64, 32),
    discriminator_widths=(32, 64),
    generator_normalization="batch",
    discriminator_normalization="batch",
    averaging=0.99,
)
# With as many weights in the generator, to within 5 %, as the linear variants have for images of this size.
SMALL = {"epochs": 160, "batch_size": 64, "generator_widths": (40,), "discriminator_widths": (40,)}


def refuses(spec: DataSpec) -> str:
    return "" if spec.is_image else "convolutions need images"


VARIANT = Variant(
    name="dcgan",
    summary="strided and transposed convolutions, unconditional (Radford et al. 2016)",
    claims=("C1", "C2", "C3"),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(SMALL)},
    reads=READS,
    refuses=refuses,
    not_stackable_because="",
)
