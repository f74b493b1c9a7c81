"""Tuning of some arms: what else is kept stays, what is missing is named, and what is chosen is the median."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.questions import QUESTIONS, Question, load_question
from benchmarks.questions.arms import CONDITIONAL, PLAIN, REPORT
from benchmarks.questions.base import FID_MARGIN, LN_FID, OVERLAP, Arm, Decision, better
from benchmarks.questions.presets import PRESETS, QUICK, RATES, SMOKE
from benchmarks.suite import main as suite
from benchmarks.suites.plan import find_tuned_rate, make_plan, pilot_deviation, pooled_deviation
from benchmarks.suites.tuned_settings import load_previous, load_tuned_settings, merge_tuning, read_tuning, tuning_file
from benchmarks.suites.tuning import (
    choose_rate,
    estimate_deviations,
    list_timed_arms,
    list_trials,
    rescale_seconds,
    score_quality,
)
from reports import build
from tests.conftest import Done
from tests.made_journals import make_lines
from tests.made_tuning import TUNED_QUICK
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


def test_a_rate_that_an_arm_names_is_its_own_whether_a_preset_tunes_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, (FAST, FAST.vary("faster", "twice that", lr_factor=2.0)))
    for preset, tuned in ((SMOKE, None), (TUNED_QUICK, {"arms": {}})):
        plan = make_plan(preset, ["mine"], tuned=tuned)
        rates = [(arm.recipe.generator_lr, arm.recipe.discriminator_lr) for arm in plan.arms]
        assert rates == [(4e-3, 4e-3), (8e-3, 8e-3)]
    # The kept file has the rates of arms, too, that the preset no longer trains.
    assert {trial.name for trial in list_trials(TUNED_QUICK)} <= set(KEPT["arms"])


def test_a_plan_is_of_the_rates_not_of_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a field that an arm does not use leaves the plan, and its hash, as they were."""
    asked(monkeypatch, (FAST, PLAIN))
    chosen = make_plan(TUNED_QUICK, ["mine"], tuned={"arms": {"plain": {"winner": 1e-3}}})
    asked(monkeypatch, (replace(FAST, rate=None), PLAIN))
    tuned = make_plan(TUNED_QUICK, ["mine"], tuned={"arms": {"plain": {"winner": 1e-3}, "fast": {"winner": 4e-3}}})
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


def test_all_arms_without_a_rate_are_named_with_the_command_that_tunes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, (WIDE, PLAIN), (FAST, WIDE.vary("wider", "wider")))
    command = r"python -m benchmarks\.tune --preset quick --arms wide wider"
    for questions in ((), ["mine"]):
        with pytest.raises(
            UserError, match=rf"^the arms wide, wider have no tuned learning rate; {command} tunes them$"
        ):
            make_plan(TUNED_QUICK, questions)
    # The other questions are answered as before.
    make_plan(TUNED_QUICK, ["control", "dropout"])


def test_an_arm_like_one_that_is_not_tuned_is_refused_with_another_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for like in ("nobody", "report", "fast"):
        asked(monkeypatch, (WIDE.vary("mine", "mine", lr_from=like), PLAIN), (FAST, PLAIN))
        sentence = (
            f"^the arm mine takes the learning rate of {like}, which the preset quick does not tune; give it a rate"
        )
        with pytest.raises(UserError, match=sentence):
            make_plan(TUNED_QUICK, ["mine"])


@pytest.mark.parametrize("command", [suite, build.main], ids=["suite", "build"])
def test_a_tuned_file_that_cannot_be_used_is_refused(command: Any, called: Called, monkeypatch: Any) -> None:
    Path("mnist.json").write_text(json.dumps({**KEPT, "preset": "mnist"}))
    Path("half.json").write_text('{"arms": ')
    Path("folder").mkdir()
    asked(monkeypatch, (FAST, FAST.vary("faster", "twice that", lr_factor=2.0)))
    monkeypatch.setitem(PRESETS, "quick", TUNED_QUICK)
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


def test_arms_that_are_tuned_later_are_added_and_all_else_stays() -> None:
    entry = {**KEPT["arms"]["plain"], "winner": 5e-4}
    now = {
        **{name: KEPT[name] for name in ("preset", "seeds", "budget")},
        "code": "c0de",
        "arms": {"wide": entry, "plain": entry},
        "deviations": {"images": {LN_FID.label: 9.0, "new": 1.0}, "mine": {"new": 2.0}},
        "seconds_per_run": {"wide": 3.0},
    }
    made = merge_tuning(KEPT, now)
    assert made["code"] == KEPT["code"]
    assert made["arms"] == {**KEPT["arms"], "wide": {**entry, "code": "c0de"}, "plain": {**entry, "code": "c0de"}}
    assert made["deviations"]["images"] == {"new": 1.0, **KEPT["deviations"]["images"]}
    assert made["deviations"]["mine"] == {"new": 2.0}
    assert made["seconds_per_run"] == {**KEPT["seconds_per_run"], "wide": 3.0}
    assert made["seconds_per_update"] == KEPT["seconds_per_update"]
    assert merge_tuning({}, now) == now
    Path("tuned.json").write_text(json.dumps(made))
    assert load_tuned_settings(QUICK, "tuned.json") == {**made, "file": "tuned.json"}


def test_what_stays_is_read_from_the_file_that_is_written_else_from_the_one_with_the_code() -> None:
    out = Path("tuned.json")
    assert load_previous(QUICK, out)["arms"] == KEPT["arms"]
    out.write_text(json.dumps({**KEPT, "arms": {}}))
    assert load_previous(QUICK, out)["arms"] == {}
    assert load_previous(replace(QUICK, name="nobodys"), Path("nowhere.json")) == {}


def test_seconds_measured_elsewhere_are_told_in_those_of_the_first_machine() -> None:
    # This machine takes half as long for what was timed before, so the new arm takes 6 there, not 3.
    assert rescale_seconds({"a": 1.0, "b": 2.0, "new": 3.0}, {"a": 2.0, "b": 4.0, "old": 5.0}) == {
        "a": 2.0,
        "b": 4.0,
        "old": 5.0,
        "new": 6.0,
    }
    assert rescale_seconds({"a": 1.0}, {}) == {"a": 1.0}


def test_arms_at_equal_seconds_are_timed_once_both_sides_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {arm.name for arm in list_timed_arms(TUNED_QUICK, KEPT)}
    asked(monkeypatch, (WIDE, FAST), until="seconds")
    assert {arm.name for arm in list_timed_arms(TUNED_QUICK, KEPT)} == usual
    with_wide = {**KEPT, "arms": {**KEPT["arms"], "wide": {"winner": 1e-3}}}
    assert {arm.name for arm in list_timed_arms(TUNED_QUICK, with_wide)} == usual | {"wide", "fast"}


def test_deviations_are_of_the_arms_whose_runs_are_at_hand() -> None:
    lines = [{"epoch": e, "metrics": {"fid_normalized": math.exp(e)}} for e in range(5)]
    other = [{"epoch": e, "metrics": {"fid_normalized": math.exp(e + 2)}} for e in range(5)]
    rate = KEPT["arms"]["plain"]["winner"]
    found = estimate_deviations(TUNED_QUICK, KEPT["arms"], {("plain", rate): [(lines, 1), (other, 1)]})
    assert found["images"][LN_FID.label] == pytest.approx(2**0.5)
    assert set(found) == {"images"}
    # Without the arm that sets a threshold, what depends on it is left out.
    few = estimate_deviations(TUNED_QUICK, {"wide": {"winner": 1.0}}, {})
    assert few == {}


def test_with_common_rates_only_what_sets_a_threshold_is_tuned() -> None:
    trials = list_trials(QUICK)
    assert {trial.name for trial in trials} == {"plain"}
    for trial in trials:
        for seed in trial.arm.seeds:
            recipe = trial.arm.recipe_of(seed)
            assert recipe.generator_lr == recipe.discriminator_lr == trial.rate
    assert [trial.rate for trial in trials] == list(RATES)


def test_every_tuned_arm_has_the_same_grid_on_seeds_of_its_own_and_half_the_budget() -> None:
    tried = list_trials(TUNED_QUICK)
    by_arm: dict[str, list[float]] = {}
    for trial in tried:
        by_arm.setdefault(trial.name, []).append(trial.rate)
        assert min(trial.arm.seeds) >= 1000
        assert trial.arm.recipe.generator_lr == trial.arm.recipe.discriminator_lr == trial.rate
        assert 2 * trial.arm.recipe.epochs == TUNED_QUICK.budgets[trial.arm.arm.dataset_role].fields["epochs"]
    assert by_arm.pop("sgd") == by_arm.pop("sgd-saturating") == [100 * rate for rate in RATES]
    assert all(rates == list(RATES) for rates in by_arm.values())
    assert "plain" in by_arm
    assert not {"report", "few", "labels-shuffled", "rate-times-10"} & set(by_arm)


def test_the_median_chooses_and_an_edge_is_flagged() -> None:
    values = {2e-4: [-2.0, -2.1, -1.9], 5e-4: [-1.0, -1.2, -9.0], 1e-3: [-1.5, -0.1, -1.6], 2e-3: [-math.inf] * 3}
    entry = choose_rate(values, "fid_normalized")
    assert (entry["winner"], entry["edge"]) == (5e-4, False)
    assert entry["quality"] == pytest.approx(math.exp(1.2), abs=1e-5)
    assert entry["grid"]["0.0005"] == [1.0, 1.2, 9.0]
    assert entry["grid"]["0.002"] == [None, None, None]
    assert choose_rate({2e-4: [0.9], 5e-4: [0.8]}, "overlap") | {"grid": {}} == {
        "metric": "overlap",
        "grid": {},
        "winner": 2e-4,
        "edge": True,
        "quality": 0.9,
    }
    with pytest.raises(UserError, match="every rate"):
        choose_rate({1e-3: [-math.inf]}, "overlap")


def test_a_failed_run_is_the_worst_quality() -> None:
    journal = make_lines("metrics/fid_normalized", {0: 9.0, 1: 8.0})
    assert score_quality(journal, "FINISHED", "fid_normalized", 1) == pytest.approx(-math.log(8))
    assert score_quality(journal, "FAILED", "fid_normalized", 1) == -math.inf
    worse = make_lines("metrics/fid_normalized", {0: 9.0, 1: 9.5})
    assert score_quality(worse, "FINISHED", "fid_normalized", 1) == -math.inf


def test_deviations_between_seeds_are_pooled_within_arms_at_their_winners() -> None:
    def journal(value: float) -> tuple[list[dict], int]:
        return make_lines("metrics/fid_normalized", {0: 99.0, 1: value}), 22

    winners = {"plain": {"winner": 1e-3, "quality": 2.0}, "uniform": {"winner": 5e-4, "quality": 2.0}}
    journals = {
        ("plain", 1e-3): [journal(math.e), journal(math.e**3), journal(math.e**2)],
        ("plain", 5e-4): [journal(1.0), journal(9e9)],
        ("uniform", 5e-4): [journal(5.0), journal(5.0)],
    }
    tuned = {"deviations": estimate_deviations(QUICK, winners, journals)}
    assert pilot_deviation(tuned, "images", LN_FID) == pytest.approx(math.sqrt(2 / 3), abs=1e-6)  # of 1 and 0
    assert math.isnan(pilot_deviation(tuned, "points", OVERLAP))
    assert math.isnan(pilot_deviation({}, "images", LN_FID))


def test_the_deviations_that_are_kept_are_those_of_outcomes_that_are() -> None:
    """They are found by words, so that an outcome told anew loses its own."""
    kept = read_tuning("quick")["deviations"]
    decisions = [decision for name in QUESTIONS for decision in load_question(name).decisions]
    contrasts = [contrast for decision in decisions for contrast in decision.contrasts]
    deciding = {(contrast.treatment.dataset_role, contrast.outcome.label) for contrast in contrasts}
    assert {(role, words) for role, of_role in kept.items() for words in of_role} <= deciding
    assert {LN_FID.label} <= set(kept["images"])
    assert {OVERLAP.label} == set(kept["points"])


@pytest.mark.parametrize("winner", ["true", '"fast"', "null", "1" + 400 * "0"])
def test_a_tuning_whose_winner_is_no_learning_rate_is_damaged(
    winner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.suites.tuned_settings.tuning_file", lambda name: tmp_path / f"{name}.json")
    before, after = '{"arms": {"plain": {"grid": {}, "metric": "fid", "winner": ', "}}}"
    (tmp_path / "quick.json").write_text(before + "0.001" + after)
    assert find_tuned_rate(read_tuning("quick"), PLAIN) == 0.001
    (tmp_path / "quick.json").write_text(before + winner + after)
    with pytest.raises(UserError, match=r"is damaged; python -m benchmarks\.tune --preset quick makes it anew"):
        read_tuning("quick")


@pytest.mark.parametrize("deviations", ["3", '{"images": 0.1}', '{"images": {"ln FID": "small"}}', "[]"])
def test_a_tuning_whose_deviations_are_no_numbers_is_damaged(
    deviations: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.suites.tuned_settings.tuning_file", lambda name: tmp_path / f"{name}.json")
    (tmp_path / "quick.json").write_text('{"arms": {}, "deviations": {"images": {"ln FID": 0.25}}}')
    assert read_tuning("quick")["deviations"] == {"images": {"ln FID": 0.25}}
    (tmp_path / "quick.json").write_text('{"arms": {}, "deviations": ' + deviations + "}")
    with pytest.raises(UserError, match="is damaged"):
        read_tuning("quick")


def test_a_deviation_needs_a_group_of_two_and_leaves_out_what_is_infinite() -> None:
    assert pooled_deviation([[1.0, 3.0, -math.inf], [7.0]]) == pytest.approx(2**0.5)
    assert math.isnan(pooled_deviation([[1.0], [2.0], [math.inf, 1.0]]))
