"""B1: does a GAN get into trouble on data of several groups?"""

from benchmarks.questions.base import OVERLAP, OVERLAP_MARGIN, Arm, Decision, Question, better

# The rate is tuned on eight modes, and the same for all: a rate of its own would be a second change.
EIGHT = Arm("arc-8", "vanilla_gan", "arc", "8 modes", options={"modes": 8})


def of(modes: int) -> Arm:
    words = "1 mode" if modes == 1 else f"{modes} modes"
    return EIGHT.vary(f"arc-{modes}", words, options={"modes": modes}, lr_from=EIGHT.name)


ONE, TWO, FOUR, SIXTEEN = of(1), of(2), of(4), of(16)

QUESTION = Question(
    name="mode_collapse",
    title="Mode collapse",
    asks="Does a GAN get into trouble when its data has several groups?",
    claims={
        "B1": "Trained on data of several groups, a GAN gets into trouble: whatever comes in, it produces a few fixed "
        "samples, and fools the discriminator with them."
    },
    decisions=(
        Decision(
            "B1-eight",
            "B1",
            "A plain GAN covers less of the data when there are eight groups than when there is one.",
            (better(ONE, EIGHT, OVERLAP, OVERLAP_MARGIN),),
            ".10 of overlap is less than one of eight modes",
            "more overlap with eight modes than with one",
            equal="geometry: every mode is where it was, as wide and as far from its neighbours; networks, updates",
        ),
        Decision(
            "B1-sixteen",
            "B1",
            "A plain GAN covers less of the data when there are sixteen groups than when there are eight.",
            (better(EIGHT, SIXTEEN, OVERLAP, OVERLAP_MARGIN),),
            ".10 of overlap is less than one of eight modes",
            "more overlap with sixteen modes than with eight",
            equal="geometry: every mode is where it was, as wide and as far from its neighbours; networks, updates",
            full_only=True,
        ),
    ),
    curve="metrics/overlap",
    table_metrics=("overlap", "modes_captured", "high_quality", "mode_spread", "mode_kl"),
    related_work=(
        "Across papers the plain GAN captures 1 to 6.3 of the 8 modes of a ring, and 3.3 to 17.3 of the 25 of a grid: "
        "networks, budgets and rates differ (Srivastava et al. 2017; Lin et al. 2018; Metz et al. 2017).",
    ),
    limits=(
        "The claim speaks of a few fixed samples. The mode spread tells: it is 0 where all samples of a mode are the "
        "same one, and 1 where they are spread as the data is.",
        "A discrete set of modes and a continuous map from two inputs do not fit: some samples must lie between modes.",
    ),
    extra_arms=(FOUR,),
)
