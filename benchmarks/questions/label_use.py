"""Asks whether the discriminator learns to use labels, though nothing tells it to check them (I2)."""

from benchmarks.questions.arms import CONDITIONAL, REPORT, source_setup
from benchmarks.questions.base import Check, Contrast, Decision, Outcome, Question

SHUFFLED = CONDITIONAL.vary(
    "labels-shuffled",
    "real images with the labels of others",
    shuffled_conditions=True,
    lr_from="conditional",
    probes=(),
)
BLIND = CONDITIONAL.vary(
    "blind", "a discriminator that is blind to labels", conditioning="generator", lr_from="conditional", probes=()
)
USE = Outcome(
    "how often the discriminator ranks a real test image with its label above the same image with a wrong one, over "
    "the last quarter of training",
    ("probes/label_use",),
    "more",
    noun="the share of right labels ranked above wrong ones",
)
ACCURACY = Outcome("class accuracy, over the last quarter of training", ("metrics/accuracy",), "more")

QUESTION = Question(
    name="label_use",
    title="Labels that nobody checks",
    asks="Does the discriminator learn to compare image and label, although it never sees a wrong pair of real ones?",
    claims={
        "I2": "The discriminator only tells real pairs of image and label from generated ones. The labels of real "
        "images always match, so it learns to use the label without being told."
    },
    decisions=(
        Decision(
            "I2-used",
            "I2",
            "The discriminator ranks right labels above wrong ones, and does not where the labels of real images were "
            "those of others.",
            (
                Contrast(CONDITIONAL, None, USE, -0.10, 0.10, constant=0.5),
                Contrast(SHUFFLED, None, USE, -0.05, 0.05, claims="inside", constant=0.5),
            ),
            "six right rankings in ten where five are chance",
            "wrong labels ranked above right ones, or a control that ranks them, too",
            equal="networks, updates, settings; only which label stands beside a real image differs",
            checks=(
                Check(
                    "sees",
                    CONDITIONAL,
                    "accuracy_unseen_by_label_use",
                    "a probe that sees labels used in every run whose samples are of the right class (0, where it "
                    "sees nothing the class accuracy over that of guessing)",
                    high=2.0,
                ),
            ),
        ),
        Decision(
            "I2-report",
            "I2",
            "Under the source's recipe, samples come to show the digit that was asked for, which the generator can "
            "learn only from a discriminator that uses the labels.",
            (Contrast(REPORT, None, ACCURACY, -0.10, 0.10, constant=0.10),),
            "a share of right digits of .2 is twice that of guessing",
            "samples whose digit has nothing to do with the label",
            equal="one arm against a constant",
            checks=source_setup(REPORT),
            only=("source",),
            # That it left chance is what is asked; as a check it would make the opposite "not tested".
            may_stay_at_chance=(REPORT,),
        ),
    ),
    curve="probes/label_use",
    table_metrics=("accuracy", "gan_train", "fid_normalized"),
    related_work=(),
    limits=(
        "The shuffled arm is the control: its discriminator sees as many labels, which mean nothing. One that is blind "
        "to labels by construction ranks at .5 exactly.",
        "Measured on test images, so that pairs that were learnt by heart do not count.",
    ),
)
