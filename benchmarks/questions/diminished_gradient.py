"""B2: does the saturating loss starve the generator, and does the other loss help?"""

from benchmarks.questions.arms import CONDITIONAL, REPORT, source_setup
from benchmarks.questions.base import FID_MARGIN, LN_FID, Arm, Check, Contrast, Decision, Outcome, Question, better

SATURATING = CONDITIONAL.vary("saturating", "saturating loss, tuned recipe", loss="saturating")
REPORT_SATURATING = REPORT.vary("report-saturating", "saturating loss, the source's recipe", loss="saturating")
SGD = CONDITIONAL.vary("sgd", "non-saturating loss, SGD", optimizer="sgd")
SGD_SATURATING = CONDITIONAL.vary("sgd-saturating", "saturating loss, SGD", optimizer="sgd", loss="saturating")

EARLY = Outcome("mean D(fake) in the first 2 % of the updates", ("curves/d_fake",), "less", "early")
RISE = Outcome(
    "mean D(fake) after the first 2 % of the updates, less that in them",
    ("curves/d_fake",),
    "more",
    "rise",
    noun="mean D(fake) later on",
    reference="in the first 2 % of the updates",
)
RATIO = Outcome(
    "decades by which the norm of the saturating gradient lies above the other at the same weights, over the last "
    "quarter of training",
    ("probes/gradient_norm_ratio",),
    "less",
    noun="the norm of the saturating gradient",
    unit="decades",
    reference="that of the other at the same weights",
)


def early(name: str, arm: Arm, recipe: str, checks: tuple[Check, ...] = ()) -> Decision:
    return Decision(
        name,
        "B2",
        f"Under {recipe}, mostly in the first steps, the discriminator gives fakes a probability near zero.",
        (Contrast(arm, None, EARLY, -0.05, -0.05), Contrast(arm, None, RISE, 0.0, 0.0)),
        "below .05 the gradient of log(1 − D) is below a twentieth of its largest",
        "a probability that is larger than .05 early, or not smaller than later",
        equal="one arm against constants",
        checks=checks,
    )


def ruins(name: str, treatment: Arm, control: Arm, recipe: str, checks: tuple[Check, ...] = ()) -> Decision:
    return Decision(
        name,
        "B2",
        f"Under {recipe}, the non-saturating loss gives better samples than the saturating one.",
        (better(treatment, control, LN_FID, FID_MARGIN),),
        "ln 1.25 of FID is about twice what swapping the classifier moves",
        "samples that are worse by as much",
        checks=checks,
        may_stay_at_chance=(control,),
    )


QUESTION = Question(
    name="diminished_gradient",
    title="The diminished gradient",
    asks="Does a discriminator that wins early starve the generator, and does the non-saturating loss help?",
    claims={
        "B2": "Mostly in the first steps the discriminator gives fakes a probability near zero; the gradient of "
        "log(1 − D(G(z))) is then near zero, and the generator learns badly. The remedy is to ascend log D(G(z)) "
        "instead."
    },
    decisions=(
        ruins(
            "B2-report",
            REPORT,
            REPORT_SATURATING,
            "the source's recipe",
            source_setup(REPORT, REPORT_SATURATING),
        ),
        ruins("B2-tuned", CONDITIONAL, SATURATING, "a tuned recipe"),
        ruins("B2-sgd", SGD, SGD_SATURATING, "a tuned recipe with SGD, which does not rescale gradients"),
        early("B2-early-report", REPORT, "the source's recipe", source_setup(REPORT)),
        early("B2-early-tuned", CONDITIONAL, "a tuned recipe"),
        Decision(
            "B2-norms-report",
            "B2",
            "Under the source's recipe the gradient of the saturating loss is a tenth of the other's, or less, at the "
            "same weights.",
            (Contrast(REPORT, None, RATIO, -1.0, 1.0),),
            "one decade",
            "a saturating gradient that is ten times the other",
            equal="everything: both gradients are taken at the same weights, on the same noise",
            checks=source_setup(REPORT),
        ),
    ),
    curve="curves/d_fake",
    table_metrics=("fid_normalized", "accuracy", "gan_train", "coverage"),
    related_work=(
        "With a fixed DCGAN generator and a discriminator trained on, the saturating gradient falls by up to five "
        "orders of magnitude within 4,000 steps; the other does not vanish, but its variance grows (Arjovsky & Bottou "
        "2017, figure 2).",
        "After a search of hyperparameters on MNIST: FID 9.8 ± 0.9 with the saturating loss and 6.8 ± 0.5 with the "
        "other "
        "(Lucic et al. 2018).",
    ),
    limits=(
        "That one gradient is smaller where D(fake) is near zero is nearly an identity of the two losses; whether it "
        "matters for the samples decides the claim.",
        "Adam divides a gradient by its recent size, and so hides its scale; hence the arms with SGD.",
    ),
)
