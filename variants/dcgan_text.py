"""Defines a DCGAN that draws what a caption says: C4 of the source, after Reed et al. 2016.

Tokens → a learned text encoder → concatenated with the noise → transposed convolutions. The discriminator sees the
encoding of the caption beside its last feature map; `--matching-aware true` also shows it real images with
wrong captions.
"""

from variants import dcgan
from variants.base import DataSpec, Variant
from variants.networks import CONDITIONAL_READS, build


def refuses(spec: DataSpec) -> str:
    return dcgan.refuses(spec) or ("" if spec.vocabulary else "it needs captions, as captions_mnist has them")


DEFAULT = dcgan.DEFAULT.with_({"conditioning": "text", "embedding_size": 32})

VARIANT = Variant(
    name="dcgan_text",
    summary="a caption, encoded, joins the noise and the last feature map (Reed et al. 2016)",
    claims=("C4",),
    build=build,
    recipes={"default": DEFAULT, "small": DEFAULT.with_(dcgan.SMALL)},
    reads=CONDITIONAL_READS,
    conditionings=("text", "none"),
    refuses=refuses,
    not_stackable_because="",
)
