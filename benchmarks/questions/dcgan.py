"""C1, C2: what do convolutions, strides and batch normalisation bring?"""

from benchmarks.questions.arms import DCGAN, PLAIN, room_for_convolutions
from benchmarks.questions.base import BOTH, FID_MARGIN, LN_FID_BOTH, Arm, Decision, Question, better

NO_NORMALIZATION = DCGAN.vary(
    "dcgan-no-batchnorm",
    "DCGAN without batch normalisation",
    generator_normalization="none",
    discriminator_normalization="none",
)
POOLED = DCGAN.vary("dcgan-pooling", "DCGAN with pooling for strides", downsampling="pool")
RELU = DCGAN.vary("dcgan-relu", "DCGAN with ReLU for LeakyReLU", negative_slope=0.0)
SCALE = "ln 1.25 of FID is about twice what swapping the classifier moves"


def helps(
    name: str,
    claim: str,
    treatment: Arm,
    control: Arm,
    says: str,
    until: str = "updates",
    networks: tuple[str, ...] = BOTH,
    **rest: bool,
) -> Decision:
    return Decision(
        name,
        claim,
        says,
        (better(treatment, control, LN_FID_BOTH, FID_MARGIN, until, networks=networks),),
        SCALE,
        "samples that are worse by as much",
        equal="batch, tuning budget; " + ("seconds of training" if until == "seconds" else "generator updates"),
        checks=room_for_convolutions(treatment, control),
        **rest,
    )


QUESTION = Question(
    name="dcgan",
    title="Convolutions, strides and batch normalisation",
    asks="Are deep convolutional networks better than linear ones, and what of their recipe matters?",
    claims={
        "C1": "The discriminator is strided convolution, batch normalisation and LeakyReLU, ended by a classifier.",
        "C2": "The generator is transposed convolution, batch normalisation and LeakyReLU, from a noise vector up.",
    },
    decisions=(
        helps("C-convolutions", "C1, C2", DCGAN, PLAIN, "A DCGAN makes better images than a GAN of linear layers."),
        helps(
            "C-convolutions-seconds",
            "C1, C2",
            DCGAN,
            PLAIN,
            "A DCGAN makes better images than a GAN of linear layers in the same time of training.",
            "seconds",
        ),
        helps(
            "C-batchnorm",
            "C1, C2",
            DCGAN,
            NO_NORMALIZATION,
            "Batch normalisation in both networks makes a DCGAN better.",
        ),
        helps(
            "C1-strides",
            "C1",
            DCGAN,
            POOLED,
            "Strided convolutions in the discriminator make a DCGAN better than pooling there does.",
            networks=("discriminator",),
        ),
        helps(
            "C2-leaky",
            "C1, C2",
            DCGAN,
            RELU,
            "LeakyReLU in both networks makes a DCGAN better than ReLU.",
            full_only=True,
        ),
    ),
    curve="metrics/fid_normalized",
    table_metrics=("fid_normalized", "fid_pixels", "coverage", "precision", "kid"),
    related_work=(
        "Radford et al. 2016 recommend the recipe from experience on larger images; they give no ablation with seeds.",
    ),
    limits=(
        "The claims describe a network. What is tested is what they imply: that its parts are worth having.",
        "On images of 8×8 there is room for one convolution only, so that nothing about deep networks can be learnt "
        "there.",
        "Decided on the mean of a distance by convolutional classifiers and one in pixels, so that neither kind of "
        "network is judged by its own kind alone.",
    ),
)
