"""The arms that several questions share, each trained once: baselines, and the recipe of the source."""

from benchmarks.questions.base import Arm, Check

PLAIN = Arm("plain", "vanilla_gan", "images", "plain GAN, linear layers", probes=("noise_swap",))
CONDITIONAL = Arm("conditional", "cgan_mlp", "images", "conditional GAN, linear layers", probes=("gradient_norms",))
DCGAN = Arm("dcgan", "dcgan", "images", "DCGAN")
RING = Arm("plain-points", "vanilla_gan", "points", "plain GAN", probes=("noise_swap",))
CONDITIONAL_RING = Arm("conditional-points", "cgan_mlp", "points", "judged class by class (conditional GAN)")

# The recipe of I3. A preset may change its batch, widths and budget; `source_setup` says what the claims are about.
REPORT = Arm(
    "report",
    "cgan_mlp",
    "images",
    "the source's own recipe",
    recipe="report",
    probes=("gradient_norms",),
    tuned=False,
)
PACKING = RING.vary("packing-points", "packing of two", pack=2, probes=())

SOURCE_UPDATES = 60 * 468
"""Generator updates of the source's training: 60 epochs of the 60,000 images of MNIST in batches of 128 (I3, I3d)."""


def source_setup(*arms: Arm) -> tuple[Check, ...]:
    """Checks that arms which stand for the source's own recipe have its setup and its budget (I3, I3d)."""
    return tuple(
        Check("reach", arm, figure, needs, low, high)
        for arm in arms
        for figure, needs, low, high in (
            ("side", "images of 28 pixels a side", 28, 28),
            ("batch_size", "the batch of 128 that the source has", 128, 128),
            (
                "generator_updates",
                f"the {SOURCE_UPDATES:,} generator updates that the source has",
                SOURCE_UPDATES,
                float("inf"),
            ),
        )
    )


def room_for_convolutions(*arms: Arm) -> tuple[Check, ...]:
    """Checks that images have room for several strided convolutions, of which the claims on them speak."""
    return tuple(Check("reach", arm, "side", "images of 16 pixels a side or more", 16) for arm in arms)
