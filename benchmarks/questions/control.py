"""Controls: would this report notice an effect, and would it keep quiet where there is none?"""

from benchmarks.questions.arms import CONDITIONAL, PLAIN, RING
from benchmarks.questions.base import (
    FID_MARGIN,
    LN_FID,
    OVERLAP,
    OVERLAP_MARGIN,
    Arm,
    Contrast,
    Decision,
    Outcome,
    Question,
    better,
)
from benchmarks.questions.collapse_remedies import PACKING_HELPS

TOO_FAST = CONDITIONAL.vary(
    "rate-times-10", "ten times the learning rate", lr_from="conditional", lr_factor=10.0, probes=()
)
DROPPED = PLAIN.vary(
    "dropped-classes", "three of ten classes never shown", options={"dropped_classes": 3}, lr_from="plain", probes=()
)
DROPPED_LABELS = CONDITIONAL.vary(
    "dropped-classes-conditional",
    "three of ten labels asked for, and never shown",
    options={"dropped_classes": 3},
    lr_from="conditional",
    probes=(),
)
SCALE = "as in the questions"


def nothing(name: str, arm: Arm, outcome: Outcome, margin: float) -> Decision:
    return Decision(
        name,
        "control",
        f"Negative control: {arm.label} on {arm.dataset_role}, against itself with other seeds, is better.",
        (Contrast(arm, arm, outcome, -margin, margin, other_seeds=True),),
        SCALE,
        "as in the questions",
        equal="everything but the seeds",
        expected=("undetermined", "no practical difference"),
    )


def harm(name: str, planted: str, arm: Arm, control: Arm, only: tuple[str, ...] = ()) -> Decision:
    return Decision(
        name,
        "control",
        f"Planted harm: {planted} better samples.",
        (better(arm, control, LN_FID, FID_MARGIN),),
        SCALE,
        "worse samples, as they must be",
        expected=("contradicted",),
        only=only,
        may_stay_at_chance=(arm,),
    )


QUESTION = Question(
    name="control",
    title="Controls",
    asks="Does this report notice an effect that is there, and none that is not?",
    claims={"control": "Nothing of the source: what a report has to pass before its verdicts are worth reading."},
    decisions=(
        nothing("control-nothing-images", PLAIN, LN_FID, FID_MARGIN),
        nothing("control-nothing-points", RING, OVERLAP, OVERLAP_MARGIN),
        harm("control-rate", "ten times the tuned learning rate makes", TOO_FAST, CONDITIONAL),
        harm("control-dropped", "three of the ten classes, never shown in training, make", DROPPED, PLAIN),
        harm(
            "control-dropped-labels",
            "three of the ten labels that are asked for, never shown in training, make",
            DROPPED_LABELS,
            CONDITIONAL,
            only=("mnist", "full"),
        ),
        PACKING_HELPS,
    ),
    curve="metrics/fid_normalized",
    table_metrics=("fid_normalized", "overlap", "mode_coverage", "accuracy"),
    related_work=(
        "The same GAN on the ring captures 1 to 6.3 of 8 modes across papers: one seed, or one setup, decides nothing.",
    ),
    limits=(
        "The known remedy is packing: the decision is that of the question of remedies, and one of the tests, not two.",
        "A control that passes does not prove a report right; one that fails proves it wrong.",
    ),
)
