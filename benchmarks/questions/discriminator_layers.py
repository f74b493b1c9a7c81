"""I3a: was the convolutional discriminator the reason for poor results?"""

from benchmarks.questions.arms import CONDITIONAL, REPORT
from benchmarks.questions.base import FID_MARGIN, LN_FID, Arm, Decision, Question, better

CONVOLUTIONS = {"discriminator_layers": "convolutional", "discriminator_widths": (40,)}
CONV = CONDITIONAL.but("conv-discriminator", "convolutional discriminator, tuned recipe", probes=(), **CONVOLUTIONS)
REPORT_CONV = REPORT.but(
    "report-conv-discriminator", "convolutional discriminator, the source's recipe", probes=(), **CONVOLUTIONS
)


def linear_better(name: str, linear: Arm, convolutional: Arm, recipe: str) -> Decision:
    return Decision(
        name,
        "I3a",
        f"Under {recipe}, a linear discriminator gives better samples than a convolutional one.",
        (better(linear, convolutional, LN_FID, FID_MARGIN),),
        "ln 1.25 of FID is about twice what swapping the classifier moves",
        "samples that are worse by as much",
        equal="generator, generator updates, batch, tuning budget",
    )


QUESTION = Question(
    name="discriminator_layers",
    title="Layers of the discriminator",
    asks="Does a discriminator of linear layers give better results than one of convolutions?",
    claims={
        "I3a": "A discriminator of several convolutional layers was tried first and gave poor results; linear layers "
        "came after it."
    },
    decisions=(
        linear_better("I3a-report", REPORT, REPORT_CONV, "the source's recipe"),
        linear_better("I3a-tuned", CONDITIONAL, CONV, "a tuned recipe"),
    ),
    curve="metrics/fid_normalized",
    shown=("fid_normalized", "fid_pixels", "accuracy", "gan_train", "coverage"),
    others=(),
    limits=(
        "The claim was about one recipe, hence two verdicts.",
        "A label joins a linear discriminator at its input, and a convolutional one at its last feature map.",
    ),
)
