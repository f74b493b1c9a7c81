"""The cost of a preset is that of its runs, and many machines share it."""

from types import SimpleNamespace

import pytest

from benchmarks.questions.presets import PRESETS
from benchmarks.suites.plan import make_plan
from benchmarks.suites.tuning import time_arms
from benchmarks.timing import suite_cost
from benchmarks.timing.tables import render


def test_a_suite_takes_its_share_of_the_cores_and_never_less_than_its_longest_run() -> None:
    assert suite_cost.hours(7200.0, 600.0, 2) == 1.0
    assert suite_cost.hours(7200.0, 1800.0, 1000) == 0.5


def test_the_cost_of_a_preset_is_that_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_cost, "time_arms", lambda arms, *_: {arm.name: 0.5 for arm in arms})
    monkeypatch.setattr(suite_cost, "time_evaluation", lambda arm, final, _: 2.0)
    measured = suite_cost.measure_suite("smoke", 1, None, lambda sentence: None)
    arms = make_plan(PRESETS["smoke"]).arms
    assert measured["runs"] == sum(len(arm.seeds) for arm in arms)
    digits = measured["arms"]["conditional"]
    # Four epochs of three updates, and an evaluation before, after each, and at the end.
    assert (digits["training_seconds"], digits["evaluation_seconds"]) == (4 * 3 * 0.5, 5 * 2.0)
    spent = measured["core_seconds"]
    assert spent["tuning"] == 0
    assert spent["training"] == sum(len(arm.seeds) * measured["arms"][arm.name]["training_seconds"] for arm in arms)
    one, eight, many = measured["hours"].values()
    assert one == pytest.approx(8 * eight) == pytest.approx(sum(spent.values()) / measured["machine"]["cores"] / 3600)
    assert many >= measured["longest_run"]["seconds"] / 3600
    assert f"| `smoke` | {measured['runs']} |" in render(measured)


@pytest.mark.long
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_cost_also_one_that_was_never_tuned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_cost, "time_arms", lambda arms, *_: {arm.name: 0.5 for arm in arms})
    monkeypatch.setattr(suite_cost, "time_evaluation", lambda arm, final, _: 2.0)
    monkeypatch.setattr(suite_cost, "load_dataset", lambda *_: SimpleNamespace(train=range(60_000)))
    measured = suite_cost.measure_suite(name, 1, None, lambda sentence: None)
    assert (measured["core_seconds"]["tuning"] > 0) == PRESETS[name].tuned
    # Also what is compared at equal seconds, which only a preset with timings can do.
    assert ("unrolled-points" in measured["arms"]) == PRESETS[name].full


def test_updates_and_evaluations_of_an_arm_are_timed() -> None:
    arm = make_plan(PRESETS["smoke"], ["noise_distribution"]).arms[0]
    assert time_arms([arm], None, 2, 2)[arm.name] > 0
    assert suite_cost.time_evaluation(arm, False, None) > 0
