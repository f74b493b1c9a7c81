"""I1: how should a label enter the networks?"""

from typing import Any

from benchmarks.questions.arms import CONDITIONAL, room_for_convolutions
from benchmarks.questions.base import BOTH, FID_MARGIN, GAN_TRAIN_ERROR, Arm, Decision, Question, not_worse

CHANNEL = CONDITIONAL.vary("linear-channel", "linear: label as a channel (I1a)", conditioning="channel", probes=())
PROJECTION = CONDITIONAL.vary("linear-projection", "linear: projection", conditioning="projection", probes=())
AUXILIARY = CONDITIONAL.vary("linear-auxiliary", "linear: auxiliary classifier", conditioning="auxiliary", probes=())
CONV_CHANNEL = Arm("conv-channel", "cgan_conv", "images", "convolutional: label as a channel (I1a)")
CONV_PROJECTION = CONV_CHANNEL.vary("conv-projection", "convolutional: projection", conditioning="projection")
CONV_EMBEDDING = CONV_CHANNEL.vary("conv-embedding", "convolutional: embedding", conditioning="embedding")
CONV_AUXILIARY = CONV_CHANNEL.vary("conv-auxiliary", "convolutional: auxiliary classifier", conditioning="auxiliary")


def as_good(
    name: str, claim: str, own: Arm, others: tuple[tuple[Arm, tuple[str, ...]], ...], says: str, **rest: Any
) -> Decision:
    """That feeding the label in as `own` does is not worse. others: each with the networks in which it differs."""
    return Decision(
        name,
        claim,
        says,
        tuple(not_worse(own, arm, GAN_TRAIN_ERROR, FID_MARGIN, networks=networks) for arm, networks in others),
        "a quarter more errors of a classifier that was trained on the samples",
        "an error that is larger by a quarter than that of one of the others",
        equal="generator updates, batch, hidden layers, tuning budget; an embedding has a dimension for each class",
        sizes_differ="each way to feed a label in brings weights of its own",
        **rest,
    )


QUESTION = Question(
    name="conditioning",
    title="How a label enters",
    asks="Is the source's way to feed a label into the networks as good as what came later?",
    claims={
        "I1a": "In convolutional networks: label → one-hot → dense layer → one more channel, in both networks.",
        "I1b": "In linear networks: the label's embedding is concatenated to the flattened image.",
    },
    decisions=(
        as_good(
            "I1b-linear",
            "I1b",
            CONDITIONAL,
            ((CHANNEL, BOTH), (PROJECTION, ("discriminator",)), (AUXILIARY, ("discriminator",))),
            "In linear networks an embedding that is concatenated is not worse than a channel, a projection or an "
            "auxiliary classifier.",
        ),
        as_good(
            "I1a-convolutional",
            "I1a",
            CONV_CHANNEL,
            ((CONV_PROJECTION, BOTH),),
            "In convolutional networks a label as one more channel is not worse than a projection.",
            checks=room_for_convolutions(CONV_CHANNEL),
        ),
        as_good(
            "I1a-convolutional-all",
            "I1a",
            CONV_CHANNEL,
            ((CONV_EMBEDDING, BOTH), (CONV_AUXILIARY, BOTH)),
            "In convolutional networks a label as one more channel is not worse than an embedding at the last "
            "feature map "
            "or an auxiliary classifier.",
            full_only=True,
            checks=room_for_convolutions(CONV_CHANNEL),
        ),
    ),
    curve="metrics/accuracy",
    table_metrics=("gan_train", "accuracy", "diversity_worst", "fid_normalized", "coverage"),
    related_work=(
        "Miyato & Koyama 2018 find the projection better than concatenation and an auxiliary classifier on ImageNet; "
        "Odena et al. 2017 introduced the latter (far larger networks and images).",
    ),
    limits=(
        "GAN-train judges whether samples are right and diverse: it is the accuracy on real images of a small network "
        "trained on samples. Accuracy of the samples alone would miss a class that is always the same image.",
        "The arms without labels cannot be judged this way; they stand in other questions.",
    ),
)
