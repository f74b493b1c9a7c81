"""A later plan is added, and its differences are described."""

from pathlib import Path

from benchmarks.questions.presets import SMOKE
from benchmarks.suites.plan import make_plan
from benchmarks.suites.plan_history import describe_changes, load_plans, record_plan


def test_a_later_plan_is_added_and_its_differences_are_told(tmp_path: Path) -> None:
    first = make_plan(SMOKE, ["dropout"])
    assert load_plans(tmp_path, "smoke") == []
    record_plan(first, tmp_path, "then")
    record_plan(first, tmp_path, "later")
    assert [(kept["hash"], kept["since"]) for kept in load_plans(tmp_path, "smoke")] == [(first.hash, "then")]
    second = make_plan(SMOKE, ["dropout"], seeds=5)
    record_plan(second, tmp_path, "later")
    assert [kept["hash"] for kept in load_plans(tmp_path, "smoke")] == [first.hash, second.hash]
    # What was kept is JSON, where a tuple is a list.
    kept = load_plans(tmp_path, "smoke")[0]["plan"]
    assert describe_changes(kept, first.as_dict()) == []
    told = describe_changes(kept, second.as_dict())
    assert told == [
        "4 arms with another value for seeds: dropout-3, conditional, few-dropout-3, few",
        "2 decisions with another value for control seeds: I3c-all, I3c-few",
        "2 decisions with another value for treatment seeds: I3c-all, I3c-few",
    ]
    more = describe_changes(first.as_dict(), make_plan(SMOKE, ["dropout", "label_use"]).as_dict())
    assert more == ["1 arm added: labels-shuffled", "1 decision added: I2-used"]
