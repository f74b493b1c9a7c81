"""The simulation of looks is of what decides: both say the same of the same runs."""

import numpy as np
import pytest

from benchmarks.statistics.looks import Looks
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


@pytest.mark.parametrize("seed", range(4))
def test_many_suites_at_once_are_the_same_as_one_by_one(seed: int) -> None:
    drawn: list[np.ndarray] = []

    def draw(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        drawn.append(random.normal(0, 0.5 + seed / 2, size))
        return drawn[-1].copy()

    outcome = simulated.simulate(draw, TRUTH, LOOKS, 5, np.random.default_rng(seed))
    treatment, control = drawn[0] + TRUTH[:, None], drawn[1]
    for suite in range(5):

        def ask(seeds: int, names: tuple[str, ...], suite: int = suite) -> list[DecidingTest]:
            return [
                DecidingTest(
                    name,
                    "",
                    ((CONTRAST, Numbers(*(tuple(side[suite, int(name), :seeds]) for side in (treatment, control)))),),
                )
                for name in names
            ]

        closed = {}
        for look in decide_at_looks(
            [str(k) for k in range(len(TRUTH))], LOOKS, lambda *asked: Numbered(tuple(ask(*asked))), others=False
        ):
            last = look.seeds == LOOKS.last
            for verdict in look.verdicts:
                if last or verdict.test in (*look.settled, *look.given_up):
                    closed[int(verdict.test)] = (*VERDICTS[verdict.outcome], look.seeds)
        found = zip(outcome.verdict[suite], outcome.sign[suite], outcome.seeds[suite], strict=True)
        assert [closed[k] for k in range(len(TRUTH))] == [tuple(map(int, each)) for each in found]


def test_a_wrong_verdict_is_counted() -> None:
    truth = np.array([0.0, simulated.MARGIN])
    outcome = simulated.Outcome(
        np.array([[simulated.SUPPORTED, 0], [simulated.NOTHING, 0], [0, simulated.SUPPORTED], [0, 0], [0, 0]]),
        np.array([[0, 0], [0, 0], [0, 0], [1, 0], [0, 1]]),
        np.zeros((5, 2), int),
    )
    assert outcome.wrong(truth).tolist() == [True, False, True, True, False]
