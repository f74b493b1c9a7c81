"""I3a: was the convolutional discriminator the reason for poor results?"""

from benchmarks.questions.arms import CONDITIONAL, REPORT, room_for_convolutions, source_setup
from benchmarks.questions.base import FID_MARGIN, LN_FID, Arm, Check, Decision, Question, better

CONVOLUTIONS = {"discriminator_layers": "convolutional", "discriminator_widths": (40,)}
CONV = CONDITIONAL.vary("conv-discriminator", "convolutional discriminator, tuned recipe", probes=(), **CONVOLUTIONS)
REPORT_CONV = REPORT.vary(
    "report-conv-discriminator", "convolutional discriminator, the source's recipe", probes=(), **CONVOLUTIONS
)


def linear_better(name: str, linear: Arm, convolutional: Arm, recipe: str, checks: tuple[Check, ...] = ()) -> Decision:
    return Decision(
        name,
        "I3a",
        f"Under {recipe}, a linear discriminator gives better samples than a convolutional one.",
        (better(linear, convolutional, LN_FID, FID_MARGIN, networks=("discriminator",)),),
        "ln 1.25 of FID is about twice what swapping the classifier moves",
        "samples that are worse by as much",
        equal="generator, weights of the discriminator, generator updates, batch, tuning budget",
        checks=(*room_for_convolutions(convolutional), *checks),
        may_stay_at_chance=(convolutional,),
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
        linear_better("I3a-report", REPORT, REPORT_CONV, "the source's recipe", source_setup(REPORT, REPORT_CONV)),
        linear_better("I3a-tuned", CONDITIONAL, CONV, "a tuned recipe"),
    ),
    curve="metrics/fid_normalized",
    table_metrics=("fid_normalized", "fid_pixels", "accuracy", "gan_train", "coverage"),
    related_work=(),
    limits=(
        "The claim was about one recipe, hence two verdicts.",
        "A label joins a linear discriminator at its input, and a convolutional one at its last feature map.",
    ),
)
