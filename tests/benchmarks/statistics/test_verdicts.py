"""Verdicts: what a page will say, from numbers whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.statistics.ranks import ThreeSided, two_groups
from benchmarks.statistics.verdicts import (
    CONTRADICTED,
    DOUBLE_MARGIN,
    HALF_MARGIN,
    IN_BETWEEN,
    NO_DIFFERENCE,
    NO_VERDICT,
    SUPPORTED,
    UNDETERMINED,
    WELCH,
    Alternative,
    DecidingContrast,
    DecidingTest,
    Numbers,
    Verdict,
    decide,
    raw_verdict,
)
from reports.figures import Axis, draw_forests

OVERLAP = DecidingContrast("overlap", "overlap", "packing", "plain", -0.1, 0.1)
# Ten values without ties, centred on zero, with a standard deviation of .03.
NOISE = 0.03 * np.array([-1.6, -1.0, -0.65, -0.37, -0.12, 0.12, 0.37, 0.65, 1.0, 1.6])


def numbers(shift: float, seeds: int = 10, spread: float = 1.0, control: bool = True) -> Numbers:
    """Two groups that differ by `shift`, or one group round it."""
    noise = spread * (NOISES[seeds] if seeds != 10 else NOISE)
    # Turned round, so that differences are not tied.
    return Numbers(tuple(shift + noise), tuple(-1.01 * noise) if control else None)


NOISES = {seeds: np.interp(np.linspace(0, 9, seeds), np.arange(10), NOISE) for seeds in (4, 5, 9, 20)}


def deciding(shift: float, contrast: DecidingContrast = OVERLAP, name: str = "t", **rest: object) -> DecidingTest:
    return DecidingTest(name, "B1", ((contrast, numbers(shift, **rest)),))


@pytest.mark.parametrize(
    ("shift", "outcome"), [(0.3, SUPPORTED), (-0.3, CONTRADICTED), (0.0, NO_DIFFERENCE), (0.1, UNDETERMINED)]
)
def test_a_shift_is_judged_against_the_margins(shift: float, outcome: str):
    (verdict,) = decide([deciding(shift)])
    assert verdict.outcome == verdict.raw == outcome
    (effect,) = verdict.effects
    assert effect.shift == pytest.approx(shift, abs=1e-3)
    low, high = effect.interval
    assert {SUPPORTED: low > 0.1, CONTRADICTED: high < -0.1, NO_DIFFERENCE: -0.1 < low < high < 0.1}.get(
        outcome, low < 0.1 < high
    )
    assert (verdict.seeds_to_settle is None) == (outcome != UNDETERMINED)


@pytest.mark.parametrize(
    ("shift", "claims", "outcome", "better"),
    [
        (0.3, "different", SUPPORTED, "packing"),
        (-0.3, "different", SUPPORTED, "plain"),
        (0.0, "different", NO_DIFFERENCE, ""),
        (0.0, "inside", SUPPORTED, ""),
        (0.3, "inside", CONTRADICTED, ""),
        (-0.3, "inside", CONTRADICTED, ""),
    ],
)
def test_a_claim_may_be_of_a_difference_or_of_none(shift: float, claims: str, outcome: str, better: str):
    (verdict,) = decide([deciding(shift, replace(OVERLAP, claims=claims))])
    assert (verdict.outcome, verdict.better) == (outcome, better)


def test_margins_need_not_lie_round_zero():
    # Held-out words: more than .20 supports the claim, less than .05 contradicts it.
    words = replace(OVERLAP, low=0.05, high=0.2)
    assert [decide([deciding(s, words)])[0].outcome for s in (0.3, 0.12, -0.1)] == [SUPPORTED, IN_BETWEEN, CONTRADICTED]
    # Not worse by .1: there is nothing in between.
    not_worse = replace(OVERLAP, low=-0.1, high=-0.1)
    assert [decide([deciding(s, not_worse)])[0].outcome for s in (0.0, -0.1, -0.2)] == [
        SUPPORTED,
        UNDETERMINED,
        CONTRADICTED,
    ]


@pytest.mark.parametrize(("seeds", "raw"), [(4, NO_VERDICT), (5, SUPPORTED), (9, SUPPORTED)])
def test_few_seeds_give_a_raw_verdict_or_none(seeds: int, raw: str):
    (verdict,) = decide([deciding(0.3, seeds=seeds)])
    assert (verdict.outcome, verdict.raw, verdict.deciding) == (raw, raw, False)
    assert math.isnan(verdict.adjusted)
    assert math.isnan(verdict.p) == (raw == NO_VERDICT)
    assert verdict.effects[0].seeds == (seeds, seeds)


def test_raw_verdicts_take_no_part_in_the_correction_but_their_share_of_the_error_stays_reserved():
    alone = decide([deciding(0.3)])[0]
    beside = decide([deciding(0.3), deciding(0.3, name="raw", seeds=5)])
    assert beside[0].adjusted == pytest.approx(2 * alone.adjusted)
    assert math.isnan(beside[1].adjusted)


def test_holm_leaves_undetermined_what_one_test_alone_would_decide():
    weak = deciding(0.145)
    (alone,) = decide([weak])
    assert alone.outcome == SUPPORTED
    assert 0.0005 < alone.p < 0.05
    many = decide([weak, *(deciding(0.1, name=f"null {i}") for i in range(int(0.05 / alone.p) + 1))])
    assert (many[0].raw, many[0].outcome) == (SUPPORTED, UNDETERMINED)
    assert many[0].adjusted > 0.05
    assert decide([weak], planned=1000)[0].outcome == UNDETERMINED
    # The strong one is taken first, and leaves the weak one the whole of what is left.
    strong = decide([weak, deciding(1.0, name="strong")])
    assert strong[0].adjusted == pytest.approx(alone.p)


def test_the_interval_that_is_corrected_is_the_wider_one():
    (verdict,) = decide([deciding(0.0)], planned=30)
    effect = verdict.effects[0]
    assert effect.wide.low < effect.interval.low < 0 < effect.interval.high < effect.wide.high


# Claims of several parts


def parts(*shifts: float) -> DecidingTest:
    return DecidingTest(
        "both", "I2", tuple((replace(OVERLAP, name=str(place)), numbers(s)) for place, s in enumerate(shifts))
    )


def test_both_parts_are_needed_and_one_is_enough_to_fail():
    assert decide([parts(0.3, 0.3)])[0].outcome == SUPPORTED
    assert decide([parts(0.3, 0.1)])[0].outcome == UNDETERMINED
    assert decide([parts(0.3, -0.3)])[0].outcome == CONTRADICTED
    assert decide([parts(0.3, 0.0)])[0].outcome == NO_DIFFERENCE


def test_the_larger_p_counts_for_a_claim_and_twice_the_smaller_one_against_it():
    def raw(*p_values: ThreeSided):
        return raw_verdict([(OVERLAP, p) for p in p_values])

    supported = raw(ThreeSided(0.001, 1, 1), ThreeSided(0.01, 1, 1))
    assert (supported.outcome, supported.p) == (SUPPORTED, 0.02)
    contradicted = raw(ThreeSided(0.001, 1, 1), ThreeSided(1, 1, 0.01))
    assert (contradicted.outcome, contradicted.p) == (CONTRADICTED, 0.04)
    nil = raw(ThreeSided(0.001, 1, 1), ThreeSided(1, 0.002, 1))
    assert (nil.outcome, nil.p) == (NO_DIFFERENCE, 0.008)
    assert raw(ThreeSided(0.4, 0.4, 0.4)).outcome == UNDETERMINED


# Failures


def test_failed_runs_count_as_the_worst_even_where_the_claim_predicts_worse():
    groups = numbers(0.3)
    failing = Numbers((*groups.treatment[:4], *[-math.inf] * 6), groups.control)
    (verdict,) = decide([DecidingTest("t", "B1", ((OVERLAP, failing),))])
    effect = verdict.effects[0]
    assert (effect.shift, effect.failed) == (-math.inf, (6, 0))
    # Four runs above all others and six below them: nobody can tell by ranks, and the rates of failure say the rest.
    assert verdict.outcome == UNDETERMINED
    assert effect.failure_p == pytest.approx(0.0108, abs=1e-4)
    assert math.isnan(verdict.seeds_to_settle)
    assert (WELCH, "a run failed, or nothing varies") in verdict.unchecked
    everything = Numbers((-math.inf,) * 10, groups.control)
    assert decide([DecidingTest("t", "B1", ((OVERLAP, everything),))])[0].outcome == CONTRADICTED


def test_one_group_is_held_against_zero():
    alone = replace(OVERLAP, control="")
    (verdict,) = decide([deciding(0.3, alone, control=False)])
    assert (verdict.outcome, verdict.effects[0].seeds, verdict.effects[0].failure_p) == (SUPPORTED, (10,), None)


# Fragility


def otherwise(verdict: Verdict) -> dict[str, str]:
    """By the other ways to decide that change a verdict, what it would be."""
    return {other.way: other.outcome for other in verdict.fragile_by}


def test_a_strong_verdict_is_not_fragile():
    (verdict,) = decide([deciding(0.6)])
    assert (verdict.fragile_by, verdict.unchecked, verdict.fragile) == ((), (), False)


def test_a_verdict_that_hangs_on_the_margin_is_fragile_by_it():
    (verdict,) = decide([deciding(0.2)])
    assert verdict.outcome == SUPPORTED
    assert otherwise(verdict)[DOUBLE_MARGIN] == UNDETERMINED
    assert verdict.fragile is True
    assert HALF_MARGIN not in otherwise(verdict)
    (nil,) = decide([deciding(0.0, spread=0.9)])
    assert nil.outcome == NO_DIFFERENCE
    assert HALF_MARGIN in otherwise(decide([deciding(0.0, spread=2.0)])[0])


def test_ranks_and_means_may_differ():
    groups = numbers(0.15)
    # One wild run moves the mean and not the ranks.
    wild = Numbers((*groups.treatment[:-1], 30.0), groups.control)
    (verdict,) = decide([DecidingTest("t", "B1", ((OVERLAP, wild),))])
    assert verdict.outcome == SUPPORTED
    assert otherwise(verdict)[WELCH] == UNDETERMINED


def test_another_extractor_may_say_otherwise():
    other = {
        "the other extractor": {"overlap": numbers(-0.3)},
        "the last checkpoint": {"overlap": numbers(0.5, seeds=4)},
    }
    (verdict,) = decide([replace(deciding(0.6), alternatives=other)])
    assert verdict.fragile_by == verdict.reversed_by == (Alternative("the other extractor", CONTRADICTED),)
    assert verdict.unchecked == (("the last checkpoint", "fewer than 5 seeds have it"),)
    just_enough = {"the last checkpoint": {"overlap": numbers(-0.5, seeds=5)}}
    (verdict,) = decide([replace(deciding(0.6), alternatives=just_enough)])
    assert (verdict.fragile_by, verdict.unchecked) == ((Alternative("the last checkpoint", CONTRADICTED),), ())


COVERAGE = replace(OVERLAP, name="coverage")
EITHER = replace(OVERLAP, claims="different")


def test_another_better_arm_is_fragile_though_the_outcome_has_the_same_name():
    other = {"pixels": {"overlap": numbers(-0.6)}, "the last checkpoint": {"overlap": numbers(0.5)}}
    (verdict,) = decide([replace(deciding(0.6, EITHER), alternatives=other)])
    assert (verdict.outcome, verdict.better) == (SUPPORTED, "packing")
    assert verdict.fragile_by == verdict.reversed_by == (Alternative("pixels", SUPPORTED, "plain"),)
    # One that cannot tell names no better arm, and turns nothing round.
    (verdict,) = decide([replace(deciding(0.6, EITHER), alternatives={"pixels": {"overlap": numbers(0.1)}})])
    assert (verdict.fragile_by, verdict.reversed_by) == ((Alternative("pixels", UNDETERMINED),), ())
    # Nor does a way that finds a better arm where the verdict has none.
    (verdict,) = decide([replace(deciding(0.0, EITHER), alternatives={"pixels": {"overlap": numbers(-0.6)}})])
    assert verdict.outcome == NO_DIFFERENCE
    assert Alternative("pixels", SUPPORTED, "plain") in verdict.fragile_by
    assert not verdict.reversed_by


@pytest.mark.parametrize("contrast", [OVERLAP, EITHER, replace(OVERLAP, low=-0.1, high=-0.1)])
@pytest.mark.parametrize("shift", [0.6, -0.6])
def test_every_reversal_of_sign_is_told_whichever_way_a_claim_is_worded(contrast: DecidingContrast, shift: float):
    turned = {"pixels": {"overlap": numbers(-shift)}}
    (verdict,) = decide([replace(deciding(shift, contrast), alternatives=turned)])
    (other,) = verdict.reversed_by
    assert (other.way, verdict.fragile) == ("pixels", True)
    # An interval that a level lies in has no sign, and margins alone turn none.
    inside = replace(contrast, low=-0.1, high=0.1, claims="inside")
    (verdict,) = decide([replace(deciding(0.0, inside), alternatives={"pixels": {"overlap": numbers(0.6)}})])
    assert (verdict.outcome, verdict.reversed_by) == (SUPPORTED, ())
    assert otherwise(verdict)["pixels"] == CONTRADICTED
    (verdict,) = decide([deciding(-0.15, replace(OVERLAP, low=-0.2, high=-0.2))])
    assert (verdict.outcome, otherwise(verdict)[HALF_MARGIN]) == (SUPPORTED, CONTRADICTED)
    assert not verdict.reversed_by


def test_what_one_part_lacks_the_whole_test_lacks():
    failing = Numbers((*numbers(0.6).treatment[:-1], -math.inf), numbers(0.6).control)
    (verdict,) = decide([DecidingTest("t", "B1", ((OVERLAP, numbers(0.6)), (COVERAGE, failing)))])
    assert dict(verdict.unchecked) == {WELCH: "a run failed, or nothing varies"}
    (verdict,) = decide([DecidingTest("t", "B1", ((OVERLAP, numbers(0.115)), (COVERAGE, failing)))])
    assert (verdict.outcome, math.isnan(verdict.seeds_to_settle)) == (UNDETERMINED, True)
    (verdict,) = decide([DecidingTest("t", "B1", ((OVERLAP, numbers(0.6)), (COVERAGE, numbers(0.6, seeds=4))))])
    assert verdict.outcome == NO_VERDICT
    parts = ((OVERLAP, numbers(0.6)), (COVERAGE, numbers(0.6)))
    few = {"the last checkpoint": {"coverage": numbers(0.6, seeds=4)}}
    (verdict,) = decide([DecidingTest("t", "B1", parts, few)])
    assert dict(verdict.unchecked) == {"the last checkpoint": "fewer than 5 seeds have it"}


def test_one_margin_that_is_not_zero_is_halved_and_doubled():
    one_sided = replace(OVERLAP, low=0.0, high=0.2)
    assert DOUBLE_MARGIN in otherwise(decide([deciding(0.3, one_sided)])[0])
    at_all = replace(COVERAGE, low=0.0, high=0.0)
    (verdict,) = decide([DecidingTest("t", "B1", ((one_sided, numbers(0.3)), (at_all, numbers(0.3))))])
    # From 0 to .4 there is no difference that matters.
    assert otherwise(verdict)[DOUBLE_MARGIN] == NO_DIFFERENCE


def test_the_wide_interval_has_a_share_of_the_error():
    alone, among_20 = (decide([deciding(0.3)], planned)[0].effects[0] for planned in (1, 20))
    assert alone.wide == alone.interval == among_20.interval
    groups = numbers(0.3)
    assert among_20.wide == two_groups(groups.treatment, groups.control).interval(1 - 0.05 / 20)
    assert among_20.wide.low < among_20.interval.low < among_20.interval.high < among_20.wide.high


def test_fragility_counts_the_correction():
    tests = [deciding(0.25, name="first"), *(deciding(0.1, name=f"null {i}") for i in range(40))]
    with_correction = decide(tests)[0]
    assert with_correction.outcome == SUPPORTED
    alone = decide(tests[:1])[0]
    assert DOUBLE_MARGIN in otherwise(with_correction)
    assert otherwise(alone).keys() <= otherwise(with_correction).keys()


# Seeds


def test_what_is_undetermined_says_how_many_seeds_it_needs():
    (verdict,) = decide([deciding(0.115)])
    assert verdict.outcome == UNDETERMINED
    assert 10 < verdict.seeds_to_settle <= 100
    # Nothing settles a shift that lies on the margin.
    on_it = Numbers(tuple(0.1 + NOISE), tuple(0.0 * NOISE + np.linspace(-1e-4, 1e-4, 10)))
    assert decide([DecidingTest("t", "B1", ((OVERLAP, on_it),))])[0].seeds_to_settle == math.inf


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="same name"):
        decide([deciding(0.1), deciding(0.2)])
    with pytest.raises(ValueError, match="NaN"):
        decide([DecidingTest("t", "B1", ((OVERLAP, Numbers((math.nan,) * 10, (0.0,) * 10)),))])
    assert decide([]) == ()


# The figure


def test_a_forest_shows_every_effect_with_both_intervals(tmp_path):
    failing = Numbers((*NOISE[:8], -math.inf, -math.inf), tuple(NOISE))
    tests = [deciding(0.3), deciding(0.0, name="n"), DecidingTest("f", "B1", ((OVERLAP, failing),))]
    effects = [(verdict.test, verdict.outcome, verdict.effects[0]) for verdict in decide(tests)]
    drawn = draw_forests([(effects, Axis("shift of the overlap"))])
    assert drawn == draw_forests([(effects, Axis("shift of the overlap"))])
    assert drawn.count(b"<!--") > 10
