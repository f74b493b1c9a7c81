"""Plans of comparisons: what is compared with what, by what, when, and what is refused before anything is trained."""

import math
from dataclasses import replace

import pytest

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import load
from benchmarks.questions.base import LN_FID
from benchmarks.questions.outcomes import FAILED
from benchmarks.suites.comparison import find_criterion, label_arms, plan_comparison
from benchmarks.training.configure import configure
from variants import UserError

DIGITS, RING = load(DatasetConfig("digits")), load(DatasetConfig("ring8"))
FID = find_criterion("fid", None, DIGITS)


def arm(variant: str = "cgan_mlp", dataset: str = "digits", **fields: object) -> RunConfig:
    return configure(variant, dataset, samples=500, epochs=2, **fields)


def test_all_arms_are_compared_with_the_first_or_each_with_each() -> None:
    arms = [arm(loss=loss) for loss in ("non_saturating", "hinge", "least_squares")]
    plan = plan_comparison(arms, DIGITS, FID)
    assert [d.decision.name for d in plan.decisions] == [
        "loss-hinge-against-loss-non-saturating",
        "loss-least-squares-against-loss-non-saturating",
    ]
    assert len(plan_comparison(arms, DIGITS, FID, all_pairs=True).decisions) == 3
    assert plan.looks.seeds == (5, 10, 20, 40)
    assert {len(each.seeds) for each in plan.arms} == {40}
    assert plan.hash != plan_comparison(arms, DIGITS, FID, most=20).hash
    # Its runs are those that benchmarks.run would train.
    assert (
        plan.arms[1].config(3).key == configure("cgan_mlp", "digits", samples=500, epochs=2, loss="hinge", seed=3).key
    )


def test_arms_are_labelled_by_what_differs() -> None:
    assert label_arms([arm(loss="hinge"), arm(loss="hinge", r1=0.1)]) == ("r1 0", "r1 0.1")
    assert label_arms([arm("dcgan"), arm("cgan_conv")]) == ("dcgan", "cgan conv")
    mixed = label_arms([arm("vanilla_gan"), arm(loss="hinge"), arm(loss="non_saturating")])
    assert mixed == ("vanilla gan", "cgan mlp, loss hinge", "cgan mlp, loss non saturating")
    widths = label_arms([arm(generator_widths=(8, 16)), arm(generator_widths=(16, 8))])
    assert widths == ("generator widths 8-16", "generator widths 16-8")


def test_seeds_are_spread_over_rates_that_all_arms_share() -> None:
    arms = [arm(loss="hinge", generator_lr=1e-3), arm(loss="non_saturating", generator_lr=5e-3)]
    plan = plan_comparison(arms, DIGITS, FID, rates=True)
    assert plan.looks.seeds == (6, 12, 24, 39)
    for planned in plan.arms:
        assert [planned.recipe_of(seed).generator_lr for seed in range(4)] == [5e-4, 1e-3, 2e-3, 5e-4]
        assert planned.recipe_of(2).discriminator_lr == 2e-3
    part = plan.up_to(6, [plan.decisions[0].decision.name])
    assert [part.arms[0].block_of(seed) for seed in part.arms[0].seeds] == [0, 1, 2, 0, 1, 2]
    assert part.hash == plan.hash


@pytest.mark.parametrize(
    ("by", "margin", "figure", "scale", "size"),
    [
        ("fid", None, "metrics/fid_normalized", "ln", math.log(1.25)),
        ("fid", 1.5, "metrics/fid_normalized", "ln", math.log(1.5)),
        ("fid_pixels", None, "metrics/fid_pixels", "ln", math.log(1.25)),
        ("coverage", None, "metrics/coverage", "", 0.05),
        ("coverage", 0.2, "metrics/coverage", "", 0.2),
        ("kid", 0.01, "metrics/kid", "", 0.01),
        ("seconds", None, "timing/seconds", "ln", math.log(1.25)),
        ("failures", None, FAILED, "", 0.0),
    ],
)
def test_what_decides_has_its_margin(by: str, margin: float | None, figure: str, scale: str, size: float) -> None:
    criterion = find_criterion(by, margin, DIGITS)
    assert criterion.outcome.figures == (figure,)
    assert criterion.outcome.scale == scale
    assert criterion.margin == pytest.approx(size)


def test_images_are_compared_by_fid_and_points_by_overlap_where_nobody_says() -> None:
    assert find_criterion("", None, DIGITS).outcome == LN_FID
    assert find_criterion("", None, RING).by == "overlap"
    assert find_criterion("fid", None, RING).outcome.figures == ("metrics/fid",)


@pytest.mark.parametrize(
    ("by", "margin", "why"),
    [
        ("fidd", None, "unknown metric 'fidd'; did you mean 'fid'"),
        ("fid", 1.0, "--margin of fid is a factor above 1, not 1"),
        ("fid", 0.0, "--margin of fid is a factor above 1, not 0"),
        ("coverage", 0.0, "--margin of coverage is above 0, not 0"),
        ("coverage", math.nan, "--margin of coverage is above 0, not nan"),
        ("kid", None, "--by kid has no usual margin"),
        ("accuracy_class", None, "family of metrics"),
        ("failures", 0.1, "--margin is not read beside --by failures"),
    ],
)
def test_what_cannot_decide_is_refused(by: str, margin: float | None, why: str) -> None:
    with pytest.raises(UserError, match=why):
        find_criterion(by, margin, DIGITS)


def test_arms_that_cannot_be_compared_are_refused() -> None:
    one, other = arm(loss="hinge"), arm(loss="non_saturating")
    for arms, why in (
        ([one], "a comparison needs two arms"),
        ([one, other, replace(one, seed=5)], "two arms are the same: cgan_mlp"),
        ([one, replace(other, samples=400)], "judged on another number of samples"),
        ([one, replace(other, dataset=DatasetConfig("digits", examples=300))], "on other data than cgan_mlp"),
        ([one, replace(other, checksum="0" * 64)], "on another version of the data"),
        ([replace(one, precision="bfloat16"), replace(other, precision="bfloat16")], "compared in float32"),
    ):
        with pytest.raises(UserError, match=why):
            plan_comparison(arms, DIGITS, FID)
    accuracy = find_criterion("accuracy", None, DIGITS)
    with pytest.raises(UserError, match="accuracy cannot be measured of vanilla_gan on digits: it needs condition"):
        plan_comparison([one, arm("vanilla_gan")], DIGITS, accuracy)
    with pytest.raises(UserError, match="--most is at least 5, not 4"):
        plan_comparison([one, other], DIGITS, FID, most=4)
    with pytest.raises(UserError, match="--most is at least 6 with --rates, not 5"):
        plan_comparison([one, other], DIGITS, FID, most=5, rates=True)
    with pytest.raises(UserError, match="two arms are called the same"):
        plan_comparison([one, other], DIGITS, FID, labels=("a", "A"))


def test_a_metric_of_the_end_is_measured_at_the_end() -> None:
    arms = [arm(loss="hinge"), arm(loss="non_saturating")]
    plan = plan_comparison(arms, DIGITS, find_criterion("gan_train", None, DIGITS))
    assert plan.decisions[0].contrasts[0].contrast.outcome.reading == "final"
    assert all(each.thorough for each in plan.arms)
