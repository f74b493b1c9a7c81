"""The arms that several questions share, each trained once: baselines, and the recipe of the source."""

from benchmarks.questions.base import Arm

PLAIN = Arm("plain", "vanilla_gan", "images", "plain GAN, linear layers", probes=("noise_swap",))
CONDITIONAL = Arm("conditional", "cgan_mlp", "images", "conditional GAN, linear layers", probes=("gradient_norms",))
DCGAN = Arm("dcgan", "dcgan", "images", "DCGAN")
RING = Arm("plain-points", "vanilla_gan", "points", "plain GAN", probes=("noise_swap",))
CONDITIONAL_RING = Arm("conditional-points", "cgan_mlp", "points", "judged class by class (conditional GAN)")

# I3 to the letter but for the widths and the batch, which are those of the tuned recipe, so that recipes are compared.
REPORT = Arm(
    "report",
    "cgan_mlp",
    "images",
    "the source's own recipe",
    recipe="report",
    probes=("gradient_norms",),
    tuned=False,
)
PACKING = RING.but("packing-points", "packing of two", pack=2, probes=())
