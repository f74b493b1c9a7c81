"""Tuning of some arms: what else is kept stays, what is missing is named, and what is chosen is told to be."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.questions import QUESTIONS, Question
from benchmarks.questions.arms import CONDITIONAL, PLAIN, REPORT
from benchmarks.questions.base import FID_MARGIN, LN_FID, Arm, Decision, better
from benchmarks.questions.presets import QUICK, SMOKE
from benchmarks.suite import main as suite
from benchmarks.suites.plan import make_plan
from benchmarks.suites.tuned_settings import load_tuned_settings, tuning_file
from benchmarks.suites.tuning import added, before, by_seconds, deviations, paced, trials
from benchmarks.tune import main as tune
from reports import build
from tests.conftest import Done
from variants.recipe import UserError

Called = Callable[..., Done]
KEPT = json.loads(tuning_file("quick").read_text())
WIDE = PLAIN.vary("wide", "twice as wide", generator_widths=(256, 512), probes=())
FAST = CONDITIONAL.vary("fast", "conditional, rate .004", rate=4e-3, probes=())


def asked(monkeypatch: pytest.MonkeyPatch, *contrasts: tuple[Arm, Arm], until: Any = "updates") -> None:
    """Adds the question `mine`, with a decision for each contrast."""
    decisions = tuple(
        Decision(f"mine-{n}", "W", "A.", (better(*pair, LN_FID, FID_MARGIN, until=until),), "a", "b")
        for n, pair in enumerate(contrasts)
    )
    question = Question("mine", "Mine", "?", {}, decisions, "metrics/fid_normalized", ("fid_normalized",), (), ())
    monkeypatch.setitem(QUESTIONS, "mine", question)


# Rates


def test_a_rate_that_an_arm_names_is_its_own_whether_a_preset_tunes_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, (FAST, FAST.vary("faster", "twice that", lr_factor=2.0)))
    for preset, tuned in ((SMOKE, None), (QUICK, {"arms": {}})):
        plan = make_plan(preset, ["mine"], tuned=tuned)
        rates = [(arm.recipe.generator_lr, arm.recipe.discriminator_lr) for arm in plan.arms]
        assert rates == [(4e-3, 4e-3), (8e-3, 8e-3)]
    # The kept file has the rates of arms, too, that the preset no longer trains.
    assert {trial.name for trial in trials(QUICK)} <= set(KEPT["arms"])


def test_a_plan_is_of_the_rates_not_of_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a field that an arm does not use leaves the plan, and its hash, as they were."""
    asked(monkeypatch, (FAST, PLAIN))
    chosen = make_plan(QUICK, ["mine"], tuned={"arms": {"plain": {"winner": 1e-3}}})
    asked(monkeypatch, (replace(FAST, rate=None), PLAIN))
    tuned = make_plan(QUICK, ["mine"], tuned={"arms": {"plain": {"winner": 1e-3}, "fast": {"winner": 4e-3}}})
    assert chosen.as_dict() == tuned.as_dict()


@pytest.mark.parametrize("rate", [0.0, -1e-3, math.nan, math.inf, "fast"])
def test_a_rate_that_is_none_is_refused(rate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, (replace(FAST, rate=rate), PLAIN))
    with pytest.raises(UserError, match="--generator-lr is "):
        make_plan(SMOKE, ["mine"])


def test_a_rate_beside_another_source_of_it_is_refused() -> None:
    with pytest.raises(ValueError, match="the arm x names a rate, so it cannot have lr_from, or tuned=False"):
        PLAIN.vary("x", "x", rate=1e-3, lr_from="conditional")
    with pytest.raises(ValueError, match="the arm x names a rate"):
        REPORT.vary("x", "x", rate=1e-3)


# What is missing


def test_all_arms_without_a_rate_are_named_with_the_command_that_tunes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, (WIDE, PLAIN), (FAST, WIDE.vary("wider", "wider")))
    command = r"python -m benchmarks\.tune --preset quick --arms wide wider"
    for questions in ((), ["mine"]):
        with pytest.raises(
            UserError, match=rf"^the arms wide, wider have no tuned learning rate; {command} tunes them$"
        ):
            make_plan(QUICK, questions)
    # The other questions are answered as before.
    make_plan(QUICK, ["control", "dropout"])


def test_an_arm_like_one_that_is_not_tuned_is_refused_with_another_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for like in ("nobody", "report", "fast"):
        asked(monkeypatch, (WIDE.vary("mine", "mine", lr_from=like), PLAIN), (FAST, PLAIN))
        sentence = (
            f"^the arm mine takes the learning rate of {like}, which the preset quick does not tune; give it a rate"
        )
        with pytest.raises(UserError, match=sentence):
            make_plan(QUICK, ["mine"])


@pytest.mark.parametrize("command", [suite, build.main], ids=["suite", "build"])
def test_a_tuned_file_that_cannot_be_used_is_refused(command: Any, called: Called, monkeypatch: Any) -> None:
    Path("mnist.json").write_text(json.dumps({**KEPT, "preset": "mnist"}))
    Path("half.json").write_text('{"arms": ')
    Path("folder").mkdir()
    asked(monkeypatch, (FAST, FAST.vary("faster", "twice that", lr_factor=2.0)))
    for words, sentence in (
        ("--preset quick --tuned mnist.json", "mnist.json has the tuned settings of the preset 'mnist', not of quick"),
        ("--preset quick --tuned half.json", "half.json is not JSON: "),
        ("--preset quick --tuned folder", "cannot read the tuned settings folder: Is a directory"),
        ("--preset quick --tuned no.json --questions dropout", "the arms dropout-3, conditional"),
        ("--preset quick --tuned no.json --questions mine", "there is no file no.json, and no arm of this plan needs"),
        ("--preset smoke --tuned mnist.json", "the preset smoke is not tuned, so --tuned would change nothing"),
    ):
        done = called(command, *words.split())
        assert (done.code, done.out) == (2, ""), words
        assert done.err.startswith(f"error: {sentence}")
        assert done.err.count("\n") == 1
    assert called(build.main, "--tuned", "no.json").err.startswith("error: --questions, --seeds, --dataset and --tun")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--arms plian", "unknown arm 'plian'; did you mean 'plain'? (the preset quick has no such arm)"),
        (
            "--preset mnist --arms plain report",
            "the arm report has a rate of its own, which is not tuned; leave it out",
        ),
        ("--arms few", "the arm few takes the rate of conditional; leave it out"),
        ("--preset smoke --arms plain", "the preset smoke is not tuned"),
        ("--arms plain --out folder", "cannot write folder: Is a directory; give another --out FILE, and the same to"),
        ("--out file/tuned.json", "cannot write file/tuned.json: "),
        ("--arms plain --out half.json", "half.json is not JSON: "),
    ],
)
def test_what_cannot_be_tuned_or_kept_is_told_before_the_runs(called: Called, words: str, sentence: str) -> None:
    Path("folder").mkdir()
    Path("file").touch()
    Path("half.json").write_text('{"arms": ')
    done = called(tune, *words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {sentence}")
    assert not Path("runs").exists()


# What is kept


def test_arms_that_are_tuned_later_are_added_and_all_else_stays() -> None:
    entry = {**KEPT["arms"]["plain"], "winner": 5e-4}
    now = {
        **{name: KEPT[name] for name in ("preset", "seeds", "budget")},
        "code": "c0de",
        "arms": {"wide": entry, "plain": entry},
        "deviations": {"images": {LN_FID.label: 9.0, "new": 1.0}, "mine": {"new": 2.0}},
        "seconds_per_run": {"wide": 3.0},
    }
    made = added(KEPT, now)
    assert made["code"] == KEPT["code"]
    assert made["arms"] == {**KEPT["arms"], "wide": {**entry, "code": "c0de"}, "plain": {**entry, "code": "c0de"}}
    assert made["deviations"]["images"] == {"new": 1.0, **KEPT["deviations"]["images"]}
    assert made["deviations"]["mine"] == {"new": 2.0}
    assert made["seconds_per_run"] == {**KEPT["seconds_per_run"], "wide": 3.0}
    assert made["seconds_per_update"] == KEPT["seconds_per_update"]
    assert added({}, now) == now
    Path("tuned.json").write_text(json.dumps(made))
    assert load_tuned_settings(QUICK, "tuned.json") == {**made, "file": "tuned.json"}


def test_what_stays_is_read_from_the_file_that_is_written_else_from_the_one_with_the_code() -> None:
    out = Path("tuned.json")
    assert before(QUICK, out)["arms"] == KEPT["arms"]
    out.write_text(json.dumps({**KEPT, "arms": {}}))
    assert before(QUICK, out)["arms"] == {}
    assert before(replace(QUICK, name="nobodys"), Path("nowhere.json")) == {}


def test_seconds_measured_elsewhere_are_told_in_those_of_the_first_machine() -> None:
    # This machine takes half as long for what was timed before, so the new arm takes 6 there, not 3.
    assert paced({"a": 1.0, "b": 2.0, "new": 3.0}, {"a": 2.0, "b": 4.0, "old": 5.0}) == {
        "a": 2.0,
        "b": 4.0,
        "old": 5.0,
        "new": 6.0,
    }
    assert paced({"a": 1.0}, {}) == {"a": 1.0}


def test_arms_at_equal_seconds_are_timed_once_both_sides_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {arm.name for arm in by_seconds(QUICK, KEPT)}
    asked(monkeypatch, (WIDE, FAST), until="seconds")
    assert {arm.name for arm in by_seconds(QUICK, KEPT)} == usual
    with_wide = {**KEPT, "arms": {**KEPT["arms"], "wide": {"winner": 1e-3}}}
    assert {arm.name for arm in by_seconds(QUICK, with_wide)} == usual | {"wide", "fast"}


def test_deviations_are_of_the_arms_whose_runs_are_at_hand() -> None:
    lines = [{"epoch": e, "metrics": {"fid_normalized": math.exp(e)}} for e in range(5)]
    other = [{"epoch": e, "metrics": {"fid_normalized": math.exp(e + 2)}} for e in range(5)]
    rate = KEPT["arms"]["plain"]["winner"]
    found = deviations(QUICK, KEPT["arms"], {("plain", rate): [(lines, 1), (other, 1)]})
    assert found["images"][LN_FID.label] == pytest.approx(2**0.5)
    assert set(found) == {"images"}
    # Without the arm that sets a threshold, what depends on it is left out.
    few = deviations(QUICK, {"wide": {"winner": 1.0}}, {})
    assert few == {}
