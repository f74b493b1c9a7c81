"""An arm against itself: what is decided there is counted as wrong, and what is planted is found."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.statistics.verdicts import NO_DIFFERENCE, SUPPORTED
from tests.soak import figures, null


def values(spread: float, comparisons: int = 10) -> np.ndarray:
    return np.random.default_rng(0).normal(0.5, spread, comparisons * 2 * null.LOOKS.last)


def test_what_differs_little_is_no_practical_difference_and_twice_the_margin_is_found() -> None:
    found = null.describe(values(0.05), 10, lambda line: None)
    assert found["runs"] == 400
    assert found["no_practical_difference_at_no_effect"] >= 9
    assert found["wrong_at_no_effect"] <= 2
    assert found["wrong_at_no_effect_by_splits"] <= 6
    assert found["wrong_at_the_margin"] <= 2
    assert found["planted_twice_the_margin_found"] >= 8
    assert found["planted_twice_the_margin_seeds"] in null.LOOKS.seeds


def test_groups_that_are_not_alike_are_counted_as_wrong() -> None:
    """As if seeds told the groups apart: then the split by seeds is wrong, and the random one is not."""
    drifting = values(0.02) + np.tile(np.repeat([0.0, 0.3], null.LOOKS.last), 10)
    found = null.describe(drifting, 10, lambda line: None)
    assert found["wrong_at_no_effect"] == 10
    assert found["wrong_at_no_effect_by_splits"] <= 6


def test_failed_runs_are_counted_and_are_the_worst() -> None:
    some = values(0.02)
    some[: null.LOOKS.last] = -np.inf
    found = null.describe(some, 10, lambda line: None)
    assert found["failed_runs"] == null.LOOKS.last
    assert null.judge(some[: null.LOOKS.last].tolist(), some[null.LOOKS.last :][: null.LOOKS.last].tolist()) == (
        null.Judged(SUPPORTED, (SUPPORTED,), null.LOOKS.seeds[0])
    )


def test_a_verdict_at_a_later_look_has_the_seeds_of_that_look() -> None:
    treatment, control = values(0.09, 1).reshape(2, -1)
    judged = null.judge(treatment.tolist(), control.tolist())
    assert judged.outcome == NO_DIFFERENCE
    assert len(judged.told) == 1 + null.LOOKS.seeds.index(judged.seeds) > 1
    assert not judged.says_difference


@pytest.mark.long
def test_runs_are_trained_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null, "RECIPE", {**null.RECIPE, "epoch_updates": 2})
    monkeypatch.setattr(null, "LOOKS", null.plan_looks(5, 5))
    monkeypatch.setattr(null, "GROUP", 7)
    said: list[str] = []
    found = null.null(tmp_path, 0.01, said.append)
    assert (found["comparisons"], found["runs"]) == (2, 20)
    assert said[:3] == ["7 of 20 runs", "14 of 20 runs", "20 of 20 runs"]
    assert "with pixels, without a classifier, the other arm is the better one" in found["planted_reversal"]
    assert not (tmp_path / "null-runs").exists()
    said.clear()
    assert null.null(tmp_path, 0.01, said.append) == found
    assert said == ["judging 2 comparisons, and 8 splits"]


def test_the_kept_figures_are_within_what_is_promised() -> None:
    kept = figures.load_figures()["null"]
    # Three standard errors above 5 %.
    for kind, ending in (("comparisons", ""), ("splits", "_by_splits")):
        most = 0.05 * kept[kind] + 3 * (0.05 * 0.95 * kept[kind]) ** 0.5
        assert kept[f"wrong_at_no_effect{ending}"] <= most
        assert kept[f"wrong_at_the_margin{ending}"] <= most
    assert kept["planted_twice_the_margin_sign_told"] >= 0.8 * kept["comparisons"]
    assert "the other arm is the better one" in kept["planted_reversal"]
