"""The simulation of looks is of what decides: both say the same of the same runs."""

import math

import numpy as np
import pytest

from benchmarks.statistics.looks import Looks
from benchmarks.statistics.ranks import seeds_to_settle
from benchmarks.statistics.verdicts import (
    BETTER,
    CONTRADICTED,
    NO_DIFFERENCE,
    SUPPORTED,
    UNDETERMINED,
    WORSE,
    DecidingContrast,
    DecidingTest,
    Numbered,
    Numbers,
    decide_at_looks,
)
from tests.soak import looks as simulated

VERDICTS = {
    SUPPORTED: (simulated.SUPPORTED, 0),
    NO_DIFFERENCE: (simulated.NOTHING, 0),
    CONTRADICTED: (simulated.CONTRADICTED, 0),
    BETTER: (simulated.OPEN, 1),
    WORSE: (simulated.OPEN, -1),
    UNDETERMINED: (simulated.OPEN, 0),
}
TRUTH = np.array([0.0, 1.5, 3.5, -0.8, 0.9, -4.0])
LOOKS = Looks((5, 9, 14), (0.02, 0.015, 0.015))
CONTRAST = DecidingContrast("c", "m", "a", "b", -simulated.MARGIN, simulated.MARGIN)


RUNS = {
    "one control each": simulated.Runs(lambda random, size: random.normal(0, 1, size)),
    "wide": simulated.Runs(lambda random, size: random.normal(0, 2, size)),
    "narrow": simulated.Runs(lambda random, size: random.normal(0, 0.5, size)),
    "one control": simulated.Runs(lambda random, size: random.normal(0, 1, size), one_control=True),
    "three rates": simulated.Runs(
        lambda random, size: random.normal(0, 1, size), (-5.0, 0.0, 5.0), (0.5, 1.0, 2.0), (0.0, 0.2, -0.2)
    ),
}


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS.keys())
def test_many_suites_at_once_are_the_same_as_one_by_one(runs: simulated.Runs) -> None:
    looks = Looks((6, 12, 15), LOOKS.levels) if runs.blocks > 1 else LOOKS
    outcome = simulated.simulate(runs, TRUTH, looks, 5, np.random.default_rng(3))
    treatment, control = runs.make(TRUTH, 5, looks.last, np.random.default_rng(3))
    for suite in range(5):

        def numbers(name: str, seeds: int, suite: int = suite) -> Numbers:
            groups = [tuple(side[suite, int(name), :seeds].tolist()) for side in (treatment, control)]
            blocks = [tuple(seed % runs.blocks for seed in range(seeds))] * 2 if runs.blocks > 1 else []
            return Numbers(*groups, *blocks)

        def ask(seeds: int, names: tuple[str, ...]) -> Numbered:
            return Numbered(tuple(DecidingTest(name, "", ((CONTRAST, numbers(name, seeds)),)) for name in names))

        closed, said = {}, set()
        for look in decide_at_looks([str(k) for k in range(len(TRUTH))], looks, ask, others=False):
            last = look.seeds == looks.last
            for verdict in look.verdicts:
                said.add((int(verdict.test), verdict.outcome))
                if last or verdict.test in (*look.settled, *look.given_up):
                    closed[int(verdict.test)] = (*VERDICTS[verdict.outcome], look.seeds)
        found = zip(outcome.verdict[suite], outcome.sign[suite], outcome.seeds[suite], strict=True)
        assert [closed[k] for k in range(len(TRUTH))] == [tuple(map(int, each)) for each in found]
        for word, told in ((BETTER, outcome.said_better), (WORSE, outcome.said_worse)):
            assert {test for test, outcome_said in said if outcome_said == word} == set(told[suite].nonzero()[0])


@pytest.mark.parametrize("tests", [1, 7, 60])
def test_many_tests_need_as_many_seeds_at_once_as_one_by_one(tests: int) -> None:
    random = np.random.default_rng(4)
    estimate, sigma = random.normal(0, 3, 40), random.uniform(0.1, 3, 40)
    found = simulated.needed_seeds(estimate, sigma, tests, 0.02)
    margins = (-simulated.MARGIN, simulated.MARGIN)
    expected = [
        seeds_to_settle(float(shift), float(deviation), *margins, tests=tests, alpha=0.02, most=math.inf)
        for shift, deviation in zip(estimate, sigma, strict=True)
    ]
    assert found.tolist() == expected
    assert 3 < np.median(found) < 1000


def test_a_wrong_verdict_is_counted_and_so_is_a_wrong_sign_at_any_look() -> None:
    truth = np.array([0.0, simulated.MARGIN])
    verdicts = [[simulated.SUPPORTED, 0], [simulated.NOTHING, 0], [0, simulated.SUPPORTED], [0, 0], [0, 0]]
    better = np.array([[0, 0], [1, 0], [0, 0], [0, 1], [0, 0]], bool)
    worse = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [0, 1]], bool)
    outcome = simulated.Outcome(np.array(verdicts), np.zeros((5, 2), int), np.zeros((5, 2), int), better, worse)
    assert outcome.wrong(truth).tolist() == [True, False, True, False, False]
    assert outcome.wrong_signs(truth).tolist() == [False, True, False, False, True]
