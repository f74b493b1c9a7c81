"""Looks: the error of all of them together, what is counted, and when a test is given up."""

import math

import numpy as np
import pytest

from benchmarks.statistics.looks import ALPHA, Looks, bonferroni, is_hopeless, plan_looks
from benchmarks.statistics.ranks import two_groups
from benchmarks.statistics.verdicts import (
    BETTER,
    CONTRADICTED,
    NO_DIFFERENCE,
    SUPPORTED,
    UNDETERMINED,
    WORSE,
    DecidingContrast,
    DecidingTest,
    JudgedLook,
    Numbered,
    Numbers,
    decide,
    decide_at_looks,
)

CONTRAST = DecidingContrast("fid", "ln FID", "ours", "theirs", -0.5, 0.5)
LOOKS = Looks((6, 12, 24), (0.02, 0.015, 0.015))


def arms(shifts: dict[str, float], most: int, seed: int, spread: float = 1.0) -> dict[str, tuple[np.ndarray, ...]]:
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(shift, spread, most), random.normal(0, spread, most)) for name, shift in shifts.items()
    }


def run(shifts: dict[str, float], looks: Looks = LOOKS, seed: int = 0, spread: float = 1.0) -> list[JudgedLook]:
    runs = arms(shifts, looks.last, seed, spread)

    def ask(seeds: int, names: tuple[str, ...]) -> list[DecidingTest]:
        return [
            DecidingTest(name, "", ((CONTRAST, Numbers(*(tuple(group[:seeds]) for group in runs[name]))),))
            for name in names
        ]

    return list(decide_at_looks(tuple(shifts), looks, lambda *asked: Numbered(tuple(ask(*asked))), others=False))


def test_a_plan_of_looks_has_growing_seeds_and_the_whole_error() -> None:
    assert plan_looks(80) == Looks((10, 20, 40, 80), (0.02, 0.01, 0.01, 0.01))
    assert plan_looks(10).levels == (0.05,)
    assert plan_looks(13).seeds == (10, 13)
    assert plan_looks(50).seeds == (10, 20, 50)
    assert plan_looks(60).seeds == (10, 20, 40, 60)
    assert plan_looks(24, least=5).seeds == (5, 10, 24)
    for most in range(5, 100):
        looks = plan_looks(most, least=5)
        assert looks.last == most
        assert sum(looks.levels) == pytest.approx(ALPHA)
    with pytest.raises(ValueError, match="fewer than the 10"):
        plan_looks(9)


@pytest.mark.parametrize(
    ("seeds", "levels", "why"),
    [
        ((5, 10), (0.05,), "2 looks have 1 levels"),
        ((), (), "0 looks"),
        ((10, 10), (0.02, 0.03), "seeds are added"),
        ((5, 10), (0.03, 0.03), "add up to at most"),
        ((5, 10), (0.05, 0.0), "above 0"),
    ],
)
def test_a_plan_that_cannot_hold_is_refused(seeds: tuple, levels: tuple, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Looks(seeds, levels)


def test_p_values_are_corrected_for_all_planned_tests() -> None:
    assert bonferroni([0.004, 0.5]) == [0.008, 1.0]
    assert bonferroni([0.004, 0.5], tests=6) == pytest.approx([0.024, 1.0])


def test_each_verdict_and_each_sign_is_read_off_the_interval_corrected_for_all_tests() -> None:
    """What became of other tests changes none: one error serves all words of all looks."""
    random = np.random.default_rng(5)
    found = set()
    for shift in np.linspace(-3, 3, 25):
        numbers = Numbers(tuple(shift + random.normal(0, 1, 12)), tuple(random.normal(0, 1, 12)))
        test = DecidingTest("t", "", ((CONTRAST, numbers),))
        for planned in (1, 20):
            (verdict,) = decide([test], planned, level=0.02, fewest=5, look=2, others=False)
            interval = verdict.effects[0].wide
            exact = two_groups(numbers.treatment, numbers.control).interval(1 - 0.02 / planned)
            assert (interval.low, interval.high) == (exact.low, exact.high)
            words = {
                SUPPORTED: interval.low > CONTRAST.high,
                CONTRADICTED: interval.high < CONTRAST.low,
                NO_DIFFERENCE: CONTRAST.low < interval.low and interval.high < CONTRAST.high,
                BETTER: interval.low > 0,
                WORSE: interval.high < 0,
                UNDETERMINED: True,
            }
            expected = next(word for word, holds in words.items() if holds)
            assert verdict.outcome == expected
            found.add(expected)
    assert found >= {SUPPORTED, CONTRADICTED, BETTER, WORSE, UNDETERMINED}


def test_of_many_tests_the_one_that_is_left_says_no_sign_that_is_chance() -> None:
    """Of many tests without an effect nearly all are settled; what is left is the one farthest from zero."""
    noise = np.linspace(-1, 1, 10)
    even = Numbers(tuple(0.02 * noise), tuple(0.021 * noise))
    left = Numbers(tuple(0.65 + 0.6 * noise), tuple(0.61 * noise))

    def judge(tests: int) -> dict[str, str]:
        numbers = {"left": left} | {str(place): even for place in range(tests - 1)}
        (look,) = decide_at_looks(
            tuple(numbers),
            Looks((10,), (0.05,)),
            lambda seeds, names: Numbered(
                tuple(DecidingTest(name, "", ((CONTRAST, numbers[name]),)) for name in names)
            ),
            others=False,
        )
        return {verdict.test: verdict.outcome for verdict in look.verdicts}

    assert judge(1) == {"left": BETTER}
    among = judge(21)
    assert among.pop("left") == UNDETERMINED
    assert set(among.values()) == {NO_DIFFERENCE}


def test_a_large_effect_is_settled_early_and_a_small_one_late_or_never() -> None:
    looks = run({"large": 4.0, "none": 0.0, "small": 0.6})
    assert looks[0].settled == ("large",)
    verdicts = {v.test: v for look in looks for v in look.verdicts}
    assert verdicts["large"].outcome == SUPPORTED
    assert verdicts["large"].look == 1
    assert verdicts["small"].outcome in (UNDETERMINED, BETTER)
    assert looks[0].seeds == 6


def test_seeds_are_asked_for_open_tests_only() -> None:
    asked: list[tuple[int, tuple[str, ...]]] = []
    runs = arms({"large": 5.0, "even": 0.0}, 24, 3)

    def ask(seeds: int, names: tuple[str, ...]) -> list[DecidingTest]:
        asked.append((seeds, names))
        return [
            DecidingTest(name, "", ((CONTRAST, Numbers(*(tuple(group[:seeds]) for group in runs[name]))),))
            for name in names
            # One cannot be judged, and stays open.
            if name != "unmeasured"
        ]

    looks = list(decide_at_looks(("large", "even", "unmeasured"), LOOKS, lambda *asked: Numbered(tuple(ask(*asked)))))
    assert asked[0] == (6, ("large", "even", "unmeasured"))
    assert all("large" not in names for _, names in asked[1:])
    assert all("unmeasured" in look.open for look in looks)


def test_a_hopeless_test_is_given_up() -> None:
    noise = np.random.default_rng(0).normal(0, 1, LOOKS.last)

    def ask(seeds: int, names: tuple[str, ...]) -> list[DecidingTest]:
        shifts = {"at its margin": 0.5, "clear": 30.0}
        return [
            DecidingTest(
                name, "", ((CONTRAST, Numbers(tuple(shifts[name] + noise[:seeds]), tuple(1.01 * noise[:seeds]))),)
            )
            for name in names
        ]

    # One that seems to lie at its margin would take any number of seeds.
    looks = list(decide_at_looks(("at its margin", "clear"), LOOKS, lambda *asked: Numbered(tuple(ask(*asked)))))
    assert looks[0].given_up == ("at its margin",)
    assert looks[0].settled == ("clear",)
    assert looks[0].open == ()
    assert len(looks) == 1
    assert not is_hopeless(math.nan, LOOKS)
    assert not is_hopeless(2.2 * 24, LOOKS)
    assert is_hopeless(2.3 * 24, LOOKS)


@pytest.mark.parametrize(("shift", "word"), [(1.0, BETTER), (-1.0, WORSE), (0.5, UNDETERMINED)])
def test_an_open_test_says_the_sign_that_its_interval_has(shift: float, word: str) -> None:
    spread = 0.6 if word != UNDETERMINED else 2.0
    noise = spread * np.linspace(-1, 1, 12)
    numbers = Numbers(tuple(shift - 0.3 * np.sign(shift) + noise), tuple(0.97 * noise))
    (verdict,) = decide([DecidingTest("t", "", ((CONTRAST, numbers),))], level=0.05, fewest=5, look=2)
    assert verdict.outcome == word
    (effect,) = verdict.effects
    assert (effect.wide.low > 0) == (word == BETTER)
    assert (effect.wide.high < 0) == (word == WORSE)


@pytest.mark.parametrize(
    "truth", [0.5, pytest.param(-0.5, marks=pytest.mark.long), pytest.param(0.0, marks=pytest.mark.long)]
)
def test_all_looks_together_keep_the_error(truth: float) -> None:
    """Eight tests at the worst truths: a wrong verdict in at most 5 % of reports, simulated, within four errors."""
    wrong, reports = 0, 100
    for report in range(reports):
        looks = run({str(k): truth for k in range(8)}, seed=100 + report)
        outcomes = {v.outcome for look in looks for v in look.verdicts if v.test in look.settled}
        outcomes |= {v.outcome for v in looks[-1].verdicts}
        right = {UNDETERMINED, NO_DIFFERENCE} if not truth else {UNDETERMINED, BETTER if truth > 0 else WORSE}
        wrong += not outcomes <= right
    assert wrong / reports <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / reports)


def test_verdict_and_repeated_interval_agree() -> None:
    for seed in range(20):
        for look in run({"a": 1.5, "b": -1.2, "c": 0.0, "d": 0.4}, seed=seed, spread=0.7):
            for verdict in look.verdicts:
                low, high = verdict.effects[0].wide
                if verdict.test in look.settled:
                    assert {
                        SUPPORTED: low >= 0.5,
                        CONTRADICTED: high <= -0.5,
                        NO_DIFFERENCE: -0.5 <= low <= high <= 0.5,
                    }[verdict.outcome]
                else:
                    assert low <= 0.5
                    assert high >= -0.5
