"""Statistics: figures derived by hand, scipy where it has the piece, and every permutation by brute force elsewhere."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.statistics import ranks as s
from benchmarks.statistics.looks import holm

NO_TIES = st.lists(st.floats(-5, 5, width=32), min_size=9, max_size=9, unique=True)
TIED = st.lists(st.sampled_from([-math.inf, 0.0, 0.5, 1.0, 2.0]), min_size=2, max_size=5)


def rank_sums(values: np.ndarray, size: int) -> np.ndarray:
    """The rank sum of every choice of `size` of the values."""
    ranks = stats.rankdata(values)
    return np.array([ranks[list(chosen)].sum() for chosen in itertools.combinations(range(len(values)), size)])


# The tests, exact


@given(NO_TIES)
def test_without_ties_the_rank_sum_is_scipys_mann_whitney(values: list[float]):
    above, below = values[:4], values[4:]
    tails = s.rank_sum_tails(above, below)
    for side, ours in zip(("greater", "less"), tails, strict=True):
        assert ours == pytest.approx(stats.mannwhitneyu(above, below, alternative=side, method="exact").pvalue)


@given(TIED, TIED)
def test_with_ties_the_rank_sum_is_every_permutation(above: list[float], below: list[float]):
    pooled = np.array(above + below)
    observed, sums = stats.rankdata(pooled)[: len(above)].sum(), rank_sums(pooled, len(above))
    assert s.rank_sum_tails(above, below) == pytest.approx(((sums >= observed).mean(), (sums <= observed).mean()))


def signed_rank_tails(values: list[float] | np.ndarray) -> s.Tails:
    """Returns the tests of the rank sum of positive values; zeros are ranked, then left out."""
    values = np.asarray(values, dtype=float)
    return s._signed_rank(s.double_ranks(np.abs(values)), np.sign(values))


@given(NO_TIES)
def test_without_ties_the_signed_rank_is_scipys_wilcoxon(values: list[float]):
    values = [value for value in values if value]
    if len(set(map(abs, values))) == len(values):
        for side, ours in zip(("greater", "less"), signed_rank_tails(values), strict=True):
            assert ours == pytest.approx(stats.wilcoxon(values, alternative=side, method="exact").pvalue)


@given(TIED)
def test_with_ties_and_zeros_the_signed_rank_is_every_choice_of_signs(values: list[float]):
    values = np.array([value - 0.5 for value in values])
    ranks = stats.rankdata(np.abs(values))[values != 0]
    observed = stats.rankdata(np.abs(values))[values > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(ranks))])
    assert signed_rank_tails(values) == pytest.approx(((sums >= observed).mean(), (sums <= observed).mean()))


def test_pratts_zeros_keep_their_ranks():
    # |0| has rank 1, so the others have 2, 3, 4; of the 8 choices of signs two have a sum of 7 or more: 7 and 9.
    assert signed_rank_tails([0.0, -1.0, 2.0, 3.0]) == pytest.approx((2 / 8, 7 / 8))


def test_groups_far_apart_have_the_smallest_p_there_is():
    assert s.two_groups(range(10, 20), range(10)).tails(0.0).greater == pytest.approx(1 / math.comb(20, 10))
    assert s.one_group(range(1, 11)).tails(0.0).greater == pytest.approx(2**-10)
    big = s.rank_sum_tails(np.arange(60.0, 120), np.arange(60.0))
    assert big.greater == pytest.approx(1 / math.comb(120, 60))


def test_welch_is_scipys():
    above, below = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.0, 1.0, 1.5])
    welch = s.welch_tails(above, below)(0.5)
    expected = [stats.ttest_ind(above, below + 0.5, equal_var=False, alternative=a).pvalue for a in ("greater", "less")]
    assert welch == pytest.approx(expected)
    student = s.welch_tails(above, None)(0.5)
    assert student == pytest.approx([stats.ttest_1samp(above, 0.5, alternative=a).pvalue for a in ("greater", "less")])
    assert s.welch_tails([1.0, -math.inf], below) is None
    assert s.welch_tails(above, [1.0, -math.inf]) is None
    assert s.welch_tails([0.1, 0.2], None) is not None
    assert s.welch_tails([0.1, 0.2], [0.3, 0.4]) is not None
    assert s.welch_tails([1.0, 1.0], [2.0, 2.0]) is None


def test_a_group_that_does_not_vary_is_compared_without_a_warning():
    varying = [0.6, 0.7, 0.65]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        greater, less = s.welch_tails([1.0] * 10, varying)(0.1)
    # The spread and the freedom are those of the other group alone.
    one_group = stats.ttest_1samp(varying, 0.9, alternative="less").pvalue
    assert (greater, less) == pytest.approx((one_group, 1 - one_group))


# Shifts and intervals


def draws(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(1, 1, size), random.normal(0, 1, size)


def test_the_shift_is_the_median_of_all_differences():
    assert s.two_groups([4.0, 6.0], [1.0, 2.0, 9.0]).estimate == 2.5  # of -5, -3, 2, 3, 4, 5
    above, below = draws(10)
    assert s.two_groups(above, below).estimate == pytest.approx(np.median(np.subtract.outer(above, below)), abs=1e-8)
    # Half of the pairs are better by as much as there is.
    assert s.two_groups([2.0], [1.0, -math.inf]).estimate == math.inf
    assert s.two_groups([2.0, -math.inf], [1.0, -math.inf]).estimate == 1.0


def test_at_ten_against_ten_the_interval_is_from_the_24th_to_the_77th_difference():
    above, below = draws(10)
    differences = np.sort(np.subtract.outer(above, below).ravel())
    assert s.two_groups(above, below).interval() == pytest.approx((differences[23], differences[76]), abs=1e-8)


def test_a_shift_of_just_the_margin_gets_a_verdict_no_more_often_than_promised_whatever_is_tied():
    """Over all outcomes of two groups of four, with three values in all, of which one is a failure."""
    chances = {-math.inf: 0.2, 0.0: 0.5, 1.0: 0.3}
    groups = {
        group: math.prod(chances[value] for value in group) * len(set(itertools.permutations(group)))
        for group in itertools.combinations_with_replacement(chances, 4)
    }
    assert sum(groups.values()) == pytest.approx(1)
    found: dict[float, float] = {}
    for above, below in itertools.product(groups, repeat=2):
        shift = s.two_groups([2 + value for value in above], below)
        p = s.three_sided(shift.tails, -2, 2).p
        found[p] = found.get(p, 0) + groups[above] * groups[below]
    for level in (0.05, 0.1, 0.2, 0.4, 0.8):
        assert sum(chance for p, chance in found.items() if p <= level) <= level
    assert sum(chance for p, chance in found.items() if p <= 0.2) > 0.02


@pytest.mark.long
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("size", [5, 8])
def test_the_interval_holds_just_the_shifts_that_are_not_rejected(size: int, level: float):
    above, below = draws(size, seed=3)
    low, high = s.two_groups(above, below).interval(level)
    for theta in np.linspace(-4, 6, 201):
        kept = all(
            stats.mannwhitneyu(above - theta, below, alternative=side, method="exact").pvalue > (1 - level) / 2
            for side in ("greater", "less")
        )
        assert kept == (low < theta < high)


def test_few_seeds_have_no_finite_interval():
    # 1 of C(6, 3) = 20 permutations is 5 %, so nothing is rejected at 2.5 %.
    assert s.two_groups([5.0, 6, 7], [1.0, 2, 3]).interval() == (-math.inf, math.inf)
    assert s.two_groups([5.0, 6, 7], [1.0, 2, 3]).interval(0.9) == (2.0, 6.0)


def test_one_group_has_the_median_of_walsh_averages_and_wilcoxons_interval():
    values = np.array([-0.3, 0.1, 0.4, 0.8, 0.9, 1.1, 1.6, 1.9, 2.2, 3.5])
    walsh = np.sort([(a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2)])
    shift = s.one_group(values)
    assert shift.estimate == pytest.approx(np.median(walsh))
    # P(T ≤ 8) = 25/1024 = .0244 and P(T ≤ 9) = 33/1024 = .0322: from the 9th of the 55 averages to the 9th last.
    assert shift.interval() == pytest.approx((walsh[8], walsh[-9]))


@given(st.lists(st.integers(0, 4), min_size=5, max_size=8), st.lists(st.integers(0, 4), min_size=5, max_size=8))
def test_a_verdict_can_be_read_off_the_interval(above: list[int], below: list[int]):
    shift = s.two_groups([0.2 * v for v in above], [0.2 * v for v in below])
    low, high = shift.interval(0.95)
    for margin in (-0.7, -0.1, 0.1, 0.3):  # no differences of fifths, so between the breaks
        tails = shift.tails(margin)
        assert (tails.greater <= 0.025) == (low > margin)
        assert (tails.less <= 0.025) == (high < margin)


def test_ties_by_arithmetic_are_ties_although_floats_differ():
    assert 0.3 - 0.2 != 0.1
    shift = s.two_groups([0.3, 0.8], [0.2, 0.7])
    # 0.3 - 0.1 equals 0.2, and 0.8 - 0.1 equals 0.7: 4 of 6 permutations are at least as large as what is observed.
    assert shift.tails(0.1) == pytest.approx(s.rank_sum_tails([2.0, 7.0], [2.0, 7.0]))
    assert len(shift.breaks) == 3


def test_swapping_the_groups_turns_everything_round():
    above, below = [3.0, -math.inf, 2.0, 5.0, 5.0], [1.0, 2.0, -math.inf, -math.inf, 0.0]
    one, other = s.two_groups(above, below), s.two_groups(below, above)
    assert one.estimate == -other.estimate
    assert one.interval(0.9) == tuple(-end for end in reversed(other.interval(0.9)))
    assert one.tails(0.5) == pytest.approx(tuple(reversed(other.tails(-0.5))))


# Values that are far from the others

HUGE = [1e3, 1e6, 1e9, 1e12, 1e60, 1e300]
HUNDREDTHS = st.lists(st.integers(-300, 300).map(lambda v: v / 100), min_size=4, max_size=9)


def as_if_infinite(found: float) -> float:
    """What a number would be, had the huge value in it been infinite."""
    return math.copysign(math.inf, found) if abs(found) > 100 else found


@given(HUNDREDTHS, HUNDREDTHS, st.sampled_from(HUGE), st.sampled_from([1, -1]), st.booleans())
def test_a_huge_value_counts_as_an_infinite_one(
    above: list[float], below: list[float], huge: float, sign: int, in_treatment: bool
):
    """It is the largest of all, and has no say in which of the others are tied."""

    def shift(value: float) -> s.Shift:
        return s.two_groups(above + in_treatment * [value], below + (not in_treatment) * [value])

    ours, ranked = shift(sign * huge), shift(sign * math.inf)
    for theta in (-0.1, 0.0, 0.01, 0.1, 0.25):
        assert ours.tails(theta) == ranked.tails(theta)
    assert [as_if_infinite(end) for end in ours.interval(0.9)] == list(ranked.interval(0.9))
    if math.isfinite(ranked.estimate):
        assert ours.estimate == ranked.estimate


@given(HUNDREDTHS, st.sampled_from(HUGE), st.sampled_from([1, -1]))
def test_a_huge_value_of_one_group_counts_as_an_infinite_one(values: list[float], huge: float, sign: int):
    ours, ranked = (s.one_group([*values, sign * value]) for value in (huge, math.inf))
    for theta in (-0.1, 0.0, 0.01, 0.1, 0.25):
        assert ours.tails(theta) == ranked.tails(theta)
    assert [as_if_infinite(end) for end in ours.interval(0.9)] == list(ranked.interval(0.9))
    if math.isfinite(ranked.estimate):
        assert ours.estimate == ranked.estimate


@pytest.mark.parametrize("huge", HUGE)
def test_one_huge_value_among_ten_leaves_the_others_apart(huge: float):
    random = np.random.default_rng(0)
    control, treatment = random.normal(0, 0.05, 10), random.normal(1, 0.05, 10)
    treatment[0] = huge
    shift = s.two_groups(treatment, control)
    assert shift.estimate == pytest.approx(1, abs=0.05)
    assert s.three_sided(shift.tails, -0.1, 0.1).p == pytest.approx(2 / math.comb(20, 10))
    # One on either side: their own difference is 0, and swallows none of the others.
    control[0] = huge
    assert s.two_groups(treatment, control).estimate == pytest.approx(1, abs=0.05)


@given(HUNDREDTHS, HUNDREDTHS, st.sampled_from([0.0, 0.1, 0.3, -0.07]))
def test_ties_are_those_of_whole_numbers(above: list[float], below: list[float], theta: float):
    """In hundredths, every sum is exact."""
    ours = [s.two_groups(above, below), s.one_group(above)]
    whole = [s.two_groups(*([round(100 * v) for v in group] for group in (above, below)))]
    whole += [s.one_group([round(100 * v) for v in above])]
    for mine, other in zip(ours, whole, strict=True):
        assert mine.tails(theta) == other.tails(round(100 * theta))
        assert len(mine.breaks) == len(other.breaks)
        assert mine.estimate == pytest.approx(other.estimate / 100)


@given(TIED, TIED, st.sampled_from([-1.0, 0.0, 0.25, 0.5]))
def test_the_tests_of_a_shift_are_those_of_shifted_values(above: list[float], below: list[float], theta: float):
    assert s.two_groups(above, below).tails(theta) == pytest.approx(s.rank_sum_tails(np.array(above) - theta, below))
    assert s.one_group(above).tails(theta) == pytest.approx(signed_rank_tails(np.array(above) - theta))


def test_values_that_agree_to_nine_digits_are_tied_and_others_are_not():
    for scale in (1e-30, 1.0, 1e30):
        same, other = ((scale * value).tolist() for value in (np.array([1.0, 2.0]), np.array([1 + 1e-10, 2 - 1e-10])))
        assert list(s.two_groups(same, other).breaks / scale) == pytest.approx([-1, 0, 1])
        assert len(s.two_groups(same, [scale * 1.00000001, scale * 2]).breaks) == 4
    assert 0.1 + 0.2 != 0.3
    assert s.significant(0.1 + 0.2) == 0.3
    assert s.significant(-math.inf) == -math.inf
    # The smallest number there is, and the difference of the largest two, which no float holds.
    assert s.two_groups([5e-324], [0.0]).tails(0.0).greater == 0.5
    assert s.two_groups([1.7e308], [-1.7e308]).estimate == math.inf


# Failures


def test_failures_are_below_everything_and_tied_with_each_other():
    fine, failed = [1.0, 2, 3, 4, 5], [-math.inf] * 5
    shift = s.two_groups(failed, fine)
    assert (shift.estimate, *shift.interval()) == (-math.inf, -math.inf, -math.inf)
    assert shift.tails(-1e6).less == pytest.approx(1 / math.comb(10, 5))
    both = s.two_groups(failed, failed)
    assert math.isnan(both.estimate)
    assert (both.interval(), both.tails(3.0)) == ((-math.inf, math.inf), (1.0, 1.0))


def test_failures_at_the_same_rate_move_nothing():
    fine = [1.0, 2, 3, 4, 5, 6, 7, 8]
    arm = [*fine, -math.inf, -math.inf]
    shift = s.two_groups(arm, arm)
    assert shift.estimate == 0
    low, high = shift.interval()
    assert low == -high
    assert shift.tails(0.0).greater == pytest.approx(shift.tails(0.0).less)


def test_a_failed_contrast_ranks_as_the_worst():
    assert s.one_group([-math.inf, 1.0, 2.0, 3.0]).tails(0.0) == pytest.approx(s.one_group([-9.0, 1, 2, 3]).tails(0.0))
    assert s.one_group([-math.inf, -math.inf, 1.0]).estimate == -math.inf


def test_nan_and_nothing_are_refused():
    for groups in (([1.0, math.nan], [1.0]), ([], [1.0]), ([1.0], [])):
        with pytest.raises(ValueError, match=r"NaN is no outcome|at least one number"):
            s.two_groups(*groups)


@pytest.mark.parametrize("scale", [1e-250, 1e-9, 1.0, 1e9, 1e250])
def test_the_unit_does_not_matter(scale: float):
    above, below = draws(6, seed=1)
    shift, scaled = s.two_groups(above, below), s.two_groups(scale * above, scale * below)
    assert np.allclose(np.array(scaled.interval()) / scale, shift.interval(), rtol=1e-6)
    assert scaled.tails(0.3 * scale) == shift.tails(0.3)


# Margins, many tests, failures, seeds


def test_a_p_of_the_three_together_is_at_most_1():
    assert s.ThreeSided(0.7, 1.0, 0.6).p == 1.0
    assert s.ThreeSided(0.7, 0.2, 0.6).p == pytest.approx(0.4)


def test_three_sides_of_two_margins():
    at = {-1.0: s.Tails(0.001, 0.999), 2.0: s.Tails(0.97, 0.03)}
    p = s.three_sided(at.__getitem__, -1.0, 2.0)
    assert p == (0.97, 0.03, 0.999)
    assert p.p == 0.06
    assert s.three_sided(lambda _: s.Tails(0.01, 0.99), 0.5, 0.5) == (0.01, 1.0, 0.99)
    with pytest.raises(ValueError, match="lies above"):
        s.three_sided(at.__getitem__, 2.0, -1.0)


def test_holm_by_hand():
    # Sorted: .01 × 4, .02 × 3, .03 × 2, .04 × 1, each at least as large as the one before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.01, 0.5], tests=10) == pytest.approx([0.1, 1.0])
    assert holm([]) == []


@given(st.lists(st.sampled_from([0.001, 0.01, 0.012, 0.02, 0.04, 0.3]), min_size=1, max_size=5))
def test_holm_is_closed_testing_with_bonferroni(p_values: list[float]):
    places = range(len(p_values))
    for place in places:
        families = (f for size in range(1, len(p_values) + 1) for f in itertools.combinations(places, size))
        closed = max(min(1.0, len(f) * min(p_values[other] for other in f)) for f in families if place in f)
        assert holm(p_values)[place] == pytest.approx(closed)


def test_failure_rates_are_compared_by_fishers_test():
    # C(10, 5) tables with five failures in all; the observed one and its mirror image: 2 / 252.
    assert s.failure_p((5, 0), (5, 5)) == pytest.approx(2 / 252)
    assert s.failure_p((6, 1), (10, 8)) == pytest.approx(stats.fisher_exact([[6, 4], [1, 7]]).pvalue)


def test_the_seeds_that_settle_it():
    def seeds(estimate: float, sigma: float = 1.0, **rest: int) -> float:
        return s.seeds_to_settle(estimate, sigma, -1.0, 1.0, **rest)

    # 2 (1.96 + .8416)² = 15.698, times π / 3, and 1.96² / 4 = .96.
    assert seeds(2.0) == math.ceil(15.698 * math.pi / 3 + 0.96) == 18
    assert seeds(-2.0, sigma=2.0) == math.ceil(4 * 15.698 * math.pi / 3 + 0.96)
    # 2 (1.96 + 1.2816)² = 21.01.
    assert seeds(0.0) == math.ceil(21.01 * math.pi / 3 + 0.96) == 23
    assert seeds(0.0, sigma=2.0) == math.ceil(4 * 21.014 * math.pi / 3 + 0.96)
    assert seeds(0.5) == math.ceil(4 * 15.698 * math.pi / 3 + 0.96)  # the nearer margin is half as far
    # (1.96 + .8416)² = 7.849, and 1.96² / 2 = 1.92.
    assert seeds(2.0, groups=1) == math.ceil(7.849 * math.pi / 3 + 1.92) == 11
    # 40 tests: z of 1 − .05/80 is 3.2272; 2 (3.2272 + .8416)² = 33.11, and 3.2272² / 4 = 2.60.
    assert seeds(2.0, tests=40) == math.ceil(33.11 * math.pi / 3 + 2.60) == 38
    assert seeds(1e6, tests=40) == s.fewest_seeds(2, 40)
    for hopeless in (1.0, 1.1, -math.inf, math.nan):
        assert seeds(hopeless) == math.inf
    assert seeds(2.0, sigma=math.inf) == math.inf


def test_the_fewest_seeds_are_those_whose_smallest_p_survives():
    # 2 / C(14, 7) × 40 = .023, while 2 / C(12, 6) × 40 = .087; 2 / 2^11 × 40 = .039, while 2 / 2^10 × 40 = .078.
    assert (s.fewest_seeds(2, 40), s.fewest_seeds(1, 40)) == (7, 11)
    # 2 / C(8, 4) = .029, while 2 / C(6, 3) = .1; 2 / 2^6 = .031, while 2 / 2^5 = .0625.
    assert (s.fewest_seeds(2), s.fewest_seeds(1)) == (4, 6)
    assert s.fewest_seeds(1, 10**30) == s.MOST_SEEDS
    for groups, seeds in ((2, 7), (1, 11)):
        best = s.two_groups(range(50, 50 + seeds), range(seeds)) if groups == 2 else s.one_group(range(1, 1 + seeds))
        assert 40 * s.three_sided(best.tails, 0.0, 0.0).p <= 0.05


def test_the_deviation_is_pooled_within_groups_and_bounded():
    # Squares 2 and 8 on 1 + 2 degrees of freedom, and a failed run; χ² of 3 at .2 is 1.0052.
    deviation = s.deviation_within([0.0, 2.0, -math.inf], [10.0, 12.0, 14.0])
    assert deviation == pytest.approx((math.sqrt(10 / 3), math.sqrt(10 / 1.00517)), rel=1e-4)
    assert s.deviation_within([1.0], [2.0]) == (math.inf, math.inf)


def test_the_bound_holds_the_true_deviation_four_times_of_five():
    samples = np.random.default_rng(5).normal(size=(2000, 6))
    held = np.mean([s.deviation_within(sample).bound >= 1 for sample in samples])
    assert held == pytest.approx(0.8, abs=0.03)


def test_the_studentised_statistic_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    treatment, control = random.normal(0.3, 3, 12), random.normal(0, 1, 9)
    ours = s.studentised_difference(np.unique(np.r_[treatment, control], return_inverse=True)[1][None], 12)
    # scipy has the control's side positive, and the normalisation of a t statistic.
    theirs = stats.brunnermunzel(treatment, control).statistic
    assert ours[0] == pytest.approx(-theirs, rel=1e-9)


def test_studentised_tests_allow_ties_failures_and_groups_that_do_not_overlap() -> None:
    apart = s.studentised_tails([5.0, 6, 7, 8, 9], [1.0, 2, 3, 4, 0])
    assert apart(0.0).greater < 0.01 < 0.9 < apart(0.0).less
    # Moved onto the control, half of all orders lie on either side.
    assert 0.3 < apart(5.0).greater <= 1
    failed = s.studentised_tails([-np.inf, -np.inf, 1, 1, 1], [1.0, 1, 1, 1, 1])
    assert failed(0.0).greater > 0.5
    assert apart(0.0) == apart(0.0)


@pytest.mark.long
def test_studentised_tests_keep_their_error_where_shapes_differ() -> None:
    """One arm collapses at times, and has fewer runs: at 5 %, within four errors of 1,000 simulated comparisons."""
    random = np.random.default_rng(1)
    count, wrong = 1000, 0
    for _ in range(count):
        control = random.normal(0, 1, 20)
        wrong += s.studentised_tails(random.normal(0, 3, 10), control)(0.0).greater <= 0.05
    assert wrong / count <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / count)
