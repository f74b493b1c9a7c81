"""Asks whether dropout makes the discriminator generalise better (I3c)."""

from dataclasses import replace

from benchmarks.questions.arms import CONDITIONAL, REPORT, source_setup
from benchmarks.questions.base import Arm, Check, Decision, Outcome, Question, better

DROPOUT = CONDITIONAL.vary("dropout-3", "dropout .3", dropout=0.3, probes=())
HALF = CONDITIONAL.vary("dropout-5", "dropout .5", dropout=0.5, probes=())
FEW = CONDITIONAL.vary("few", "300 images", options={"examples": 300}, lr_from="conditional", probes=())
FEW_DROPOUT = FEW.vary("few-dropout-3", "300 images, dropout .3", dropout=0.3, lr_from=DROPOUT.name)
FEW_HALF = FEW.vary("few-dropout-5", "300 images, dropout .5", dropout=0.5, lr_from=HALF.name)

REPORT_WITHOUT = REPORT.vary("report-no-dropout", "no dropout, the source's recipe", dropout=0.0)

GAP = Outcome(
    "how often the discriminator ranks a training image above a test image, over the last quarter of training",
    ("probes/generalization_gap",),
    "less",
    noun="the share of training images ranked above test images",
)


MARGIN = 0.02
VARIED = 0.5
"""Of the diversity of real images, in the least diverse class. Chosen, not tuned."""


def overfits(control: Arm) -> tuple[Check, ...]:
    """Checks that there is a gap to narrow, and that it is not the generator that narrows it.

    A generator that has come to repeat a few training images makes them look like fakes, which closes the gap as well.
    """
    return (
        Check(
            "disease",
            control,
            "probes/generalization_gap",
            f"a share of training images ranked above test images of {0.5 + MARGIN:g} or more: chance and the margin",
            low=0.5 + MARGIN,
        ),
        Check(
            "learned",
            control,
            "metrics/diversity_worst",
            f"samples whose least diverse class has {VARIED:g} of the real diversity or more",
            low=VARIED,
        ),
    )


def narrows(name: str, treatment: Arm, control: Arm, data: str, **rest: bool) -> Decision:
    return Decision(
        name,
        "I3c",
        f"With {data}, {treatment.label.rpartition(', ')[2]} narrows the gap between training and test images.",
        (better(treatment, control, GAP, MARGIN, networks=("discriminator",)),),
        "two rankings in a hundred; chosen, not tuned",
        "a gap that is wider by as much",
        checks=overfits(control),
        **rest,
    )


def narrows_in_source() -> Decision:
    return replace(
        narrows("I3c-report", REPORT, REPORT_WITHOUT, "all training images"),
        says="Under the source's recipe, dropout .3 narrows the gap between training and test images.",
        equal="generator updates, batch, networks, learning rate, evaluation",
        checks=(*source_setup(REPORT, REPORT_WITHOUT), *overfits(REPORT_WITHOUT)),
        only=("source",),
    )


QUESTION = Question(
    name="dropout",
    title="Dropout in the discriminator",
    asks="Does dropout make the discriminator generalise better?",
    claims={"I3c": "Dropout in the discriminator makes it generalise better."},
    decisions=(
        narrows("I3c-all", DROPOUT, CONDITIONAL, "all training images"),
        narrows("I3c-few", FEW_DROPOUT, FEW, "300 training images"),
        narrows("I3c-half-all", HALF, CONDITIONAL, "all training images", full_only=True),
        narrows("I3c-half-few", FEW_HALF, FEW, "300 training images", full_only=True),
        narrows_in_source(),
    ),
    curve="probes/generalization_gap",
    table_metrics=("fid_normalized", "coverage", "accuracy", "gan_train", "memorization"),
    related_work=(),
    limits=(
        "The gap is ½ where training and test images are ranked alike. A difference of logits would shrink with the "
        "logits, which proves nothing.",
        "That the discriminator generalises better does not say that samples get better: FID stands beside it.",
        "A generator that has come to repeat a few training images narrows the gap as well, because these then look "
        "like its fakes. The samples and their coverage show where that is so.",
    ),
)
