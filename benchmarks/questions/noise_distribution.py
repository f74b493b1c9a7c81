"""A: does the distribution of the input noise matter?"""

from benchmarks.questions.arms import PLAIN, RING
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
    different,
)

UNIFORM = PLAIN.vary("uniform", "uniform noise of variance 1", noise="uniform_unit", probes=())
BERNOULLI = PLAIN.vary("bernoulli", "noise of ±1", noise="bernoulli", probes=())
COMMON = PLAIN.vary("uniform-common", "uniform noise on [−1, 1], of variance ⅓", noise="uniform", probes=())
TRUNCATED = PLAIN.vary(
    "truncated", "Gaussian noise cut off at ±2, of variance 1", noise="truncated_gaussian", probes=()
)
UNIFORM_RING = RING.vary("uniform-points", "uniform noise of variance 1", noise="uniform_unit", probes=())
COMMON_RING = RING.vary("uniform-common-points", "uniform noise on [−1, 1]", noise="uniform", probes=())
BERNOULLI_RING = RING.vary("bernoulli-points", "noise of ±1 (four inputs in all)", noise="bernoulli", probes=())

SWAPPED = Outcome(
    "ln FID with uniform noise of variance 1 fed in, less ln FID with the run's own",
    ("probes/noise_swap_uniform_unit",),
    "more",
    "final",
    noun="FID with the other noise fed in",
    unit="ln",
    reference="with the run's own",
)
REACHING = Outcome(
    "ln of the generator updates until FID is 1.5 times what Gaussian noise reaches in tuning",
    ("metrics/fid_normalized",),
    "less",
    "reaching",
    noun="the number of updates to the FID that was asked for",
    threshold_of=PLAIN.name,
    threshold_factor=1.5,
)
SCALE = "ln 1.25 of FID is about twice what swapping the classifier moves"


def swap(name: str, arm: Arm, where: str) -> Decision:
    return Decision(
        name,
        "A1",
        f"A generator trained with Gaussian noise gets worse on {where} when uniform noise of the same mean and "
        "variance is fed in: what it learnt depends on the distribution.",
        (Contrast(arm, None, SWAPPED, -FID_MARGIN, FID_MARGIN),),
        SCALE,
        "FID that gets better by as much; within the margin there is no practical difference.",
        equal="everything: both figures are of one and the same generator",
    )


def against_gaussian(
    name: str, arm: Arm, control: Arm, outcome: Outcome, margin: float, where: str, **rest: bool
) -> Decision:
    return Decision(
        name,
        "A2",
        f"On {where}, {arm.label} makes the task harder or easier than Gaussian noise.",
        (different(arm, control, outcome, margin),),
        SCALE if outcome is LN_FID else ".10 of overlap is less than one of eight modes",
        "nothing: the claim has no direction; within the margin there is no practical difference.",
        **rest,
    )


def time_taken(name: str, arm: Arm) -> Decision:
    return Decision(
        name,
        "A3",
        f"With {arm.label}, training takes longer or shorter than with Gaussian noise to reach the same FID.",
        (different(arm, PLAIN, REACHING, FID_MARGIN),),
        "a quarter more updates or fewer",
        "nothing: the claim has no direction; within the margin there is no practical difference.",
    )


QUESTION = Question(
    name="noise_distribution",
    title="The distribution of the input noise",
    asks="Does it matter which simple distribution the generator's input noise is drawn from?",
    claims={
        "A1": "With another distribution of the noise, the network learns other weights.",
        "A2": "Depending on the data, the choice makes the task harder or easier,",
        "A3": "and training therefore longer or shorter.",
    },
    decisions=(
        swap("A1-images", PLAIN, "images"),
        swap("A1-points", RING, "points of the plane"),
        against_gaussian("A2-uniform", UNIFORM, PLAIN, LN_FID, FID_MARGIN, "images"),
        against_gaussian("A2-bernoulli", BERNOULLI, PLAIN, LN_FID, FID_MARGIN, "images"),
        against_gaussian("A2-common", COMMON, PLAIN, LN_FID, FID_MARGIN, "images"),
        against_gaussian("A2-truncated", TRUNCATED, PLAIN, LN_FID, FID_MARGIN, "images", full_only=True),
        against_gaussian("A2-uniform-points", UNIFORM_RING, RING, OVERLAP, OVERLAP_MARGIN, "points of the plane"),
        against_gaussian(
            "A2-common-points", COMMON_RING, RING, OVERLAP, OVERLAP_MARGIN, "points of the plane", full_only=True
        ),
        against_gaussian(
            "A2-bernoulli-points", BERNOULLI_RING, RING, OVERLAP, OVERLAP_MARGIN, "points of the plane", full_only=True
        ),
        time_taken("A3-uniform", UNIFORM),
        time_taken("A3-bernoulli", BERNOULLI),
    ),
    curve="metrics/fid_normalized",
    table_metrics=("fid_normalized", "fid_pixels", "coverage", "overlap"),
    related_work=(
        "PacGAN and VEEGAN draw z from U[−1, 1]¹⁰⁰ on stacked MNIST, most later work from a Gaussian; neither choice "
        "is "
        "defended by a measurement there (Lin et al. 2018; Srivastava et al. 2017).",
    ),
    limits=(
        "That the weights differ says nothing: another seed gives other weights, too. What is tested is whether the "
        "function that was learnt depends on the distribution.",
        "U[−1, 1], as it is commonly used, has a third of the variance, so that its scale is changed as well; the "
        "other noises all have variance 1.",
        "With 100 inputs a first layer sums many of them, which makes any noise nearly Gaussian; with two inputs it "
        "does not.",
    ),
)
