"""Asks whether the loss curves run as the source says (I3e)."""

from benchmarks.questions.arms import CONDITIONAL, REPORT, source_setup
from benchmarks.questions.base import Arm, Check, Contrast, Decision, Outcome, Question

GENERATOR_LOSS = Outcome(
    "generator's loss, mean of the last tenth of the updates less that of the first epoch, in nats",
    ("curves/generator_loss",),
    "less",
    "change",
    noun="the generator's loss at the end",
    unit="nats",
    reference="in the first epoch",
)
DISCRIMINATOR_LOSS = Outcome(
    "discriminator's loss, mean of the last tenth of the updates less that of the first epoch, in nats",
    ("curves/discriminator_loss",),
    "more",
    "change",
    noun="the discriminator's loss at the end",
    unit="nats",
    reference="in the first epoch",
)


def runs_so(name: str, arm: Arm, recipe: str, checks: tuple[Check, ...] = ()) -> Decision:
    return Decision(
        name,
        "I3e",
        f"Under {recipe}, the generator's loss falls from its first epoch on, and the discriminator's rises somewhat.",
        (
            Contrast(arm, None, GENERATOR_LOSS, -0.10, 0.10),
            Contrast(arm, None, DISCRIMINATOR_LOSS, -0.05, 0.05),
        ),
        "a tenth of a nat, and half of that for the discriminator, whose rise is said to be slight; chosen by eye",
        "a generator's loss that rises by as much, or a discriminator's that falls",
        equal="one arm against itself, earlier",
        checks=checks,
    )


QUESTION = Question(
    name="loss_curves",
    title="The loss curves",
    asks="Does the generator's loss start high and fall, and the discriminator's start low and rise?",
    claims={"I3e": "The generator's loss starts high and falls; the discriminator's starts low and rises somewhat."},
    decisions=(
        runs_so("I3e-report", REPORT, "the source's recipe", source_setup(REPORT)),
        runs_so("I3e-tuned", CONDITIONAL, "a tuned recipe"),
    ),
    curve="curves/generator_loss",
    table_metrics=("fid_normalized", "accuracy"),
    related_work=(),
    limits=(
        "The start is the first epoch. Before the first update both losses are what chance gives them: ln 2 and 2 ln "
        "2.",
        "The losses of a GAN do not tell how good its samples are; FID stands beside them.",
    ),
)
