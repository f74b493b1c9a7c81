"""Asks how often the discriminator should be trained before each update of the generator (D)."""

from dataclasses import replace

from benchmarks.questions.arms import CONDITIONAL, REPORT, source_setup
from benchmarks.questions.base import FID_MARGIN, LN_FID, Decision, Question, different

ONE = CONDITIONAL
TWO = CONDITIONAL.vary("critic-2", "two discriminator steps", critic_steps=2, probes=())
FIVE = CONDITIONAL.vary("critic-5", "five discriminator steps", critic_steps=5, probes=())
REPORT_ONE = REPORT.vary("report-critic-1", "one discriminator step, the source's recipe", critic_steps=1)
BUDGETS = {
    "updates": "the same number of generator updates",
    "all_updates": "the same number of updates of both networks together",
    "seconds": "the same time of training",
}


def five(until: str) -> Decision:
    return Decision(
        f"D-five-{until.replace('_', '-')}",
        "D",
        f"Five discriminator steps to each generator step, against one, change the samples at {BUDGETS[until]}.",
        (different(FIVE, ONE, LN_FID, FID_MARGIN, until),),
        "ln 1.25 of FID is about twice what swapping the classifier moves",
        "nothing: the source claims no direction; the verdict names the winner.",
        equal=f"{BUDGETS[until]}, networks, batch, tuning budget",
    )


def five_in_source(until: str) -> Decision:
    return replace(
        five(until),
        name=f"D-five-report-{until.replace('_', '-')}",
        says="Under the source's recipe, five discriminator steps to each generator step, against one, change the "
        f"samples at {BUDGETS[until]}.",
        contrasts=(different(REPORT, REPORT_ONE, LN_FID, FID_MARGIN, until),),
        equal=f"{BUDGETS[until]}, networks, batch, learning rate",
        checks=source_setup(REPORT, REPORT_ONE),
        only=("source",),
    )


QUESTION = Question(
    name="critic_steps",
    title="Steps of the discriminator",
    asks="Is it worth training the discriminator several times before each step of the generator?",
    claims={
        "D": "In each step the discriminator is trained n times on a batch, and then the generator once (in the "
        "source's own recipe up to five times)."
    },
    decisions=(*map(five, BUDGETS), *map(five_in_source, ("updates", "all_updates"))),
    curve="metrics/fid_normalized",
    table_metrics=("fid_normalized", "fid_pixels", "accuracy", "gan_train", "coverage"),
    related_work=(
        "Goodfellow et al. 2014 use one step, because it is the least expensive; five are usual with a Wasserstein "
        "critic "
        "(Arjovsky et al. 2017).",
    ),
    limits=(
        "Each of the steps sees a fresh batch; the source's own recipe shows the same one again.",
        "Which budget is the right one to hold equal depends on what is scarce; hence three.",
    ),
    extra_arms=(TWO,),
)
