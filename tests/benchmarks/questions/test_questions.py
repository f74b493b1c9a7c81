"""The questions as data, how a run becomes a number, and the plan that is made of them before any run."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.algorithm.gan import SkipInitialisation
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.questions import QUESTIONS, Question, load_question
from benchmarks.questions.arms import PLAIN
from benchmarks.questions.base import BOTH, LN_FID, OVERLAP, Arm, Outcome, unique
from benchmarks.questions.outcomes import (
    explain_failure,
    is_measured,
    is_quality,
    list_alternatives,
    log_updates_to,
    measure_drift,
    read_outcome,
    score_run,
)
from benchmarks.questions.presets import FULL, MNIST, PRESETS, QUICK, RATES, SMOKE, find_preset
from benchmarks.suites.plan import COSTLY, PlannedArm, find_tuned_rate, make_plan, pilot_deviation, pooled_deviation
from benchmarks.suites.plan_history import describe_changes, load_plans, record_plan
from benchmarks.suites.tuned_settings import read_tuning
from benchmarks.suites.tuning import chosen, deviations, quality, trials
from metrics.captions import WORDS
from tests.conftest import ROOT
from tests.made_tuning import TUNED, Tuned
from variants import DataSpec, load_variant
from variants.recipe import UserError

ALL = [load_question(name) for name in QUESTIONS]


def lines(figure: str = "metrics/overlap", values: dict[int, float] | None = None) -> list[dict[str, Any]]:
    section, _, name = figure.partition("/")
    return [{"epoch": epoch, "curves": {}, section: {name: value}} for epoch, value in (values or {}).items()]


# The questions


@pytest.mark.parametrize("question", ALL, ids=lambda question: question.name)
def test_a_question_is_whole(question: Question) -> None:
    known = set(re.findall(r"^\| ([A-Z]\d?[a-z]?\d?[a-z]?) \|", (ROOT / "docs" / "claims.md").read_text(), re.M))
    known |= {"B1", "B2", "D", "I2", "control"}
    assert question.name in QUESTIONS
    assert set(question.claims) <= known
    assert question.decisions
    for decision in question.decisions:
        assert decision.says.endswith(".")
        assert all((decision.why, decision.contradicted_by, decision.equal))
        assert set(decision.claim.split(", ")) <= known
        for contrast in decision.contrasts:
            assert contrast.low <= contrast.high
            assert contrast.claims == "above" or contrast.low < contrast.high
            assert bool(contrast.outcome.threshold_of) == (contrast.outcome.reading == "reaching")
    for sentence in (question.asks, *question.related_work, *question.limits):
        assert sentence[-1] in ".?"


def test_names_stand_for_one_arm_and_one_decision() -> None:
    unique(arm for question in ALL for arm in question.arms)
    decisions = {decision.name: decision for question in ALL for decision in question.decisions}
    assert all(decisions[d.name] == d for question in ALL for d in question.decisions)
    with pytest.raises(ValueError, match="two arms are called plain"):
        unique([Arm("plain", "vanilla_gan", "images", "one"), Arm("plain", "vanilla_gan", "images", "another")])


def test_an_arm_takes_its_rate_from_one_that_is_tuned() -> None:
    arms = {arm.name: arm for question in ALL for arm in question.arms}
    for arm in arms.values():
        if arm.lr_from:
            assert arms[arm.lr_from].tuned
            assert not arms[arm.lr_from].lr_from


def test_questions_presets_and_outcomes_need_no_torch() -> None:
    code = (
        "import sys, benchmarks.questions.presets, benchmarks.questions.outcomes, benchmarks.questions as q;"
        "[q.load_question(name) for name in q.QUESTIONS];"
        "sys.exit(sorted({'torch', 'numpy', 'mlflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_question_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'dropout'"):
        load_question("droput")
    with pytest.raises(UserError, match="did you mean 'quick'"):
        find_preset("quik")


# From a journal to a number


def test_late_is_the_mean_of_the_last_quarter_of_evaluations() -> None:
    journal = lines(values={0: 9.0, **{epoch: float(epoch) for epoch in range(1, 21)}})
    assert read_outcome(OVERLAP, journal, updates=1) == 18.0  # 16 to 20
    assert read_outcome(OVERLAP, journal, updates=1, epochs=8.5) == 7.5  # 7 and 8
    assert read_outcome(replace(OVERLAP, better="less"), journal, updates=1) == -18.0
    assert read_outcome(replace(OVERLAP, reading="final"), journal, updates=1) == 20.0


def test_a_logarithm_is_taken_before_the_mean() -> None:
    journal = lines("metrics/fid_normalized", {0: 50.0, 1: 8.0, 2: 1.0, 3: 4.0, 4: 1.0, 5: 1.0, 6: 1.0, 7: 2.0, 8: 8.0})
    assert read_outcome(LN_FID, journal, updates=1) == pytest.approx(-(math.log(2) + math.log(8)) / 2)
    error = Outcome("", ("metrics/gan_train",), "less", "final", "ln_error")
    assert read_outcome(error, lines("metrics/gan_train", {3: 0.75}), updates=1) == pytest.approx(math.log(4))


def test_early_rise_and_change_are_of_updates_not_of_evaluations() -> None:
    journal = lines("curves/d_fake", {epoch: 0.1 if epoch <= 2 else 0.5 for epoch in range(1, 101)})
    early = Outcome("", ("curves/d_fake",), "less", "early")
    assert read_outcome(early, journal, updates=1) == pytest.approx(-0.1)
    assert read_outcome(replace(early, reading="rise", better="more"), journal, updates=1) == pytest.approx(0.4)
    falling = lines("curves/d_fake", {epoch: 1.0 if epoch == 1 else epoch / 100 for epoch in range(1, 101)})
    assert read_outcome(replace(early, reading="change", better="more"), falling, updates=1) == pytest.approx(
        0.955 - 1.0
    )


def test_reaching_a_threshold_is_interpolated_and_may_never_come() -> None:
    series = [(0, 100.0), (10, 10.0), (20, 1.0)]
    assert log_updates_to(series, 5, 10.0) == pytest.approx(math.log(50))
    assert log_updates_to(series, 5, math.sqrt(10.0)) == pytest.approx(math.log(75))
    assert log_updates_to(series, 5, 0.5) == math.inf
    outcome = Outcome("", ("metrics/fid_normalized",), "less", "reaching", threshold_of="plain")
    journal = lines("metrics/fid_normalized", dict(series))
    assert read_outcome(outcome, journal, updates=5, threshold=0.5) == -math.inf


def test_a_figure_that_is_absent_is_no_number() -> None:
    assert math.isnan(read_outcome(OVERLAP, lines("metrics/fid", {1: 2.0}), updates=1))


def test_a_run_fails_that_ends_no_better_than_it_began() -> None:
    sound = lines("metrics/fid_normalized", {0: 50.0, 5: 20.0, 10: 44.0})
    assert explain_failure("FINISHED", sound) == ""
    assert "training failed" in explain_failure("FAILED", sound)
    assert explain_failure("FINISHED", lines("metrics/overlap", {0: 0.1, 5: 0.0})) == ""


@pytest.mark.parametrize(("last", "failed"), [(1.02, True), (0.98, True), (0.9, True), (0.89, False), (0.1, False)])
def test_images_fail_that_end_hardly_better_than_the_untrained_generator(last: float, failed: bool) -> None:
    """Ten runs that never began to learn ended between .98 and 1.02 of it: half of them would have passed below 1."""
    journal = lines("metrics/fid_normalized", {0: 50.0, 5: 20.0, 10: 50.0 * last})
    why = "its FID is not below 90 % of that of the untrained generator" if failed else ""
    assert explain_failure("FINISHED", journal) == why
    # Read up to epoch 5 it has learnt.
    assert explain_failure("FINISHED", journal, 5) == ""


@pytest.mark.parametrize("figure", ["fid_normalized", "overlap"])
def test_samples_that_are_not_finite_fail_a_run_of_images_and_of_points(figure: str) -> None:
    sound = lines(f"metrics/{figure}", {0: 50.0, 5: 20.0, 10: 10.0})

    def ending(metrics: dict[str, float]) -> list[dict]:
        return [*sound[:-1], {**sound[-1], "metrics": metrics}]

    one, all_, old = (
        ending({"not_finite_samples": 1.0}),
        ending({"not_finite_samples": 2500.0}),
        ending({figure: math.nan, "coverage": math.nan}),
    )
    assert explain_failure("FINISHED", one, samples=2500) == "1 of its 2,500 samples is not finite"
    assert explain_failure("FINISHED", one) == "1 of its samples is not finite"
    assert explain_failure("FINISHED", all_, samples=2500) == "2,500 of its 2,500 samples are not finite"
    # Older journals do not say how many.
    assert explain_failure("FINISHED", old, samples=2500) == "some of its 2,500 samples are not finite"
    assert (
        explain_failure("FINISHED", old, 5)
        == explain_failure("FINISHED", ending({figure: 10.0, "kid": math.nan}))
        == ""
    )
    outcome = replace(OVERLAP, figures=(f"metrics/{figure}",))
    assert [score_run(outcome, "FINISHED", each, updates=1) for each in (one, all_, old)] == [-math.inf] * 3
    assert quality(old, "FINISHED", figure, 1) == -math.inf


CURVE = Outcome("", ("curves/d_fake",), "less")


def test_a_failed_run_is_the_worst_by_its_samples_and_read_as_measured_by_anything_else() -> None:
    journal = [
        {"epoch": epoch, "curves": {"d_fake": value, "generator_loss": loss}, "probes": {"gap": value}}
        for epoch, value, loss in ((1, 0.25, 1.0), (2, 0.75, 1.0), (3, 0.5, math.nan))
    ]
    journal = [{"epoch": 0, "metrics": {"fid_normalized": 50.0}}, *journal]
    for state in ("FAILED", "FINISHED"):
        # Of the epoch in which a loss was not finite nothing counts.
        assert score_run(replace(CURVE, reading="final"), state, journal, updates=1) == -0.75
        assert score_run(Outcome("", ("probes/gap",), "more"), state, journal, updates=1) == 0.75
    assert score_run(LN_FID, "FAILED", journal, updates=1) == -math.inf
    assert math.isnan(score_run(CURVE, "FAILED", [journal[0], journal[3]], updates=1))
    # An FID that tells of no learning says nothing of what the discriminator gave.
    stuck = [journal[0], {**journal[1], "metrics": {"fid_normalized": 51.0}}]
    assert score_run(CURVE, "FINISHED", stuck, updates=1) == -0.25
    assert score_run(LN_FID, "FINISHED", stuck, updates=1) == -math.inf


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_judges_samples_is_what_stands_under_metrics(name: str) -> None:
    for decision in load_question(name).decisions:
        for contrast in decision.contrasts:
            sections = {figure.partition("/")[0] for figure in contrast.outcome.figures}
            assert sections <= {"metrics"} or "metrics" not in sections
            assert is_quality(contrast.outcome) == (sections == {"metrics"})


def test_a_metric_applies_where_the_untrained_generator_has_it() -> None:
    journal = [{"epoch": 0, "metrics": {"overlap": 0.1}}, {"epoch": 1, "metrics": {"not_finite_samples": 3.0}}]
    assert is_measured(OVERLAP, [[], journal])
    assert not is_measured(LN_FID, [[], journal])


def test_alternatives_change_one_thing_each() -> None:
    others = list_alternatives(LN_FID)
    assert set(others) == {
        "the last checkpoint",
        "classifier 0 alone",
        "classifier 1 alone",
        "classifier 2 alone",
        "pixels, without a classifier",
    }
    assert others["classifier 1 alone"] == replace(LN_FID, figures=("metrics/fid_normalized_extractor_1",))
    assert set(list_alternatives(OVERLAP)) == {"the last checkpoint"}


def test_what_still_moves_is_told() -> None:
    flat = dict.fromkeys(range(1, 21), 1.0)
    assert measure_drift("metrics/overlap", lines(values=flat)) == 0
    assert measure_drift("metrics/overlap", lines(values={**flat, **dict.fromkeys(range(16, 21), 1.5)})) == 0.5
    assert math.isnan(measure_drift("metrics/overlap", lines(values={1: 1.0})))


# Plans


def test_arms_that_questions_share_are_trained_once() -> None:
    plan = make_plan(QUICK, tuned=TUNED)
    assert len({arm.name for arm in plan.arms}) == len(plan.arms)
    configs = [(arm.arm.variant, arm.recipe, arm.dataset, arm.probes) for arm in plan.arms]
    assert all(configs.count(config) == 1 for config in configs)
    assert plan.arm("plain").questions[0] == "collapse_remedies"
    assert set(plan.arm("conditional").questions) >= {"loss_curves", "label_use", "critic_steps", "dropout"}


def test_seeds_are_as_many_as_the_most_that_a_decision_needs() -> None:
    plan = make_plan(QUICK, tuned=TUNED)
    # Those below a hundred are spent, on the pilot.
    assert plan.arm("uniform").seeds == tuple(range(100, 110))
    assert plan.arm("conditional").seeds == tuple(range(100, 112))  # against a constant
    assert plan.arm("plain").seeds == tuple(range(100, 120))  # against itself with other seeds
    (control,) = next(d for d in plan.decisions if d.decision.name == "control-nothing-images").contrasts
    assert control.treatment_seeds == tuple(range(100, 110))
    assert control.control_seeds == tuple(range(110, 120))
    (remedy,) = next(d for d in plan.decisions if d.decision.name == "B1a-packing-points").contrasts
    assert remedy.treatment_seeds == remedy.control_seeds == plan.arm("packing-points").seeds
    assert len(remedy.treatment_seeds) == 20
    few = make_plan(QUICK, tuned=TUNED, seeds=3)
    assert few.arm("conditional").seeds == (100, 101, 102)
    assert few.arm("plain").seeds == tuple(range(100, 106))


def test_budgets_are_read_off_where_the_cheaper_arm_ends() -> None:
    plan = make_plan(QUICK, ["critic_steps"], tuned=TUNED)
    limits = {
        decision.contrasts[0].contrast.until: (
            decision.contrasts[0].treatment_epochs,
            decision.contrasts[0].control_epochs,
        )
        for decision in plan.decisions
    }
    # 60 epochs of one and one update are 120; of five and one, they are used up in 20 epochs. Equal costs would read
    # what equal generator updates read.
    assert limits == {"updates": (math.inf, math.inf), "all_updates": (20.0, 60.0)}
    timed = {"arms": Tuned(), "seconds_per_update": {"conditional": 0.002, "critic-5": 0.005}}
    plan = make_plan(QUICK, ["critic_steps"], tuned=timed)
    (contrast,) = next(d for d in plan.decisions if d.decision.name == "D-five-seconds").contrasts
    assert (contrast.treatment_epochs, contrast.control_epochs) == (24.0, 60.0)


@pytest.mark.parametrize("preset", [QUICK, MNIST, FULL], ids=lambda preset: preset.name)
def test_a_preset_without_tuned_settings_is_refused(preset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"benchmarks\.tune"):
        make_plan(preset, tuned={"arms": {}})
    monkeypatch.setattr("benchmarks.suites.tuned_settings.tuning_file", lambda name: Path("nowhere.json"))
    with pytest.raises(UserError, match=r"python -m benchmarks\.tune --preset"):
        make_plan(preset)


def test_what_a_preset_does_not_take_is_told_with_the_reason() -> None:
    why = {each.decision.name: each.why for each in make_plan(MNIST, tuned=TUNED).not_taken}
    assert "convolutions" in why["C-convolutions"]
    assert "points" in why["B1a-packing-points"]
    assert why["A2-truncated"] == "too costly for this preset"
    assert "control-dropped-labels takes its place" in why["control-dropped"]
    equal = {each.decision.name for each in make_plan(FULL, tuned=TUNED).not_taken}
    assert equal == {"D-five-seconds", "C-convolutions-seconds"}  # every arm was timed alike

    class Timed(Tuned):
        def get(self, name: str, default: Any = None) -> float:
            return {"critic-5": 0.0025, "dcgan": 0.004}.get(name, 0.001)

    assert not make_plan(FULL, tuned={"arms": Tuned(), "seconds_per_update": Timed()}).not_taken


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_no_two_decisions_read_the_same_evaluations_of_the_same_runs(preset: Any) -> None:
    """Equal updates of both networks and equal seconds end within the same two evaluations: one number, told twice."""
    kept = preset.name in ("quick", "mnist")
    for tuned in (TUNED, *([read_tuning(preset.name)] if kept else [])):
        plan = make_plan(preset, tuned=tuned)
        arms = {arm.name: arm for arm in plan.arms}
        seen: dict[tuple, str] = {}
        for planned in plan.decisions:
            read = tuple(
                (
                    (part.contrast.outcome.figures, part.contrast.outcome.reading, part.contrast.outcome.scale),
                    (part.contrast.constant, None if math.isnan(part.threshold) else part.threshold),
                    *(
                        (arm.name, seeds, *arms[arm.name].evaluated_epochs(until, part.reads_curves))
                        for arm, seeds, until in part.sides
                    ),
                )
                for part in planned.contrasts
            )
            assert seen.setdefault(read, planned.decision.name) == planned.decision.name
    if kept:
        why = {each.decision.name: each.why for each in plan.not_taken}
        assert why["D-five-seconds"] == "it would read the same evaluations as D-five-all-updates"


def test_an_arm_tells_which_of_its_epochs_are_evaluated() -> None:
    arm = make_plan(SMOKE, ["dropout"]).arms[0]
    arm = replace(arm, evaluate_every=3, recipe=arm.recipe.with_({"epochs": 10}))
    assert arm.read() == [3, 6, 9, 10]
    assert arm.evaluated_epochs(6.7) == [3, 6]
    assert arm.evaluated_epochs(2.9, curves=True) == [1, 2]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_what_decides_is_measured_in_every_arm_that_it_compares(preset: Any) -> None:
    plan = make_plan(preset, tuned=TUNED)
    arms, seen = {arm.name: arm for arm in plan.arms}, set()
    for planned in plan.decisions:
        for contrast in planned.decision.contrasts:
            for section, name in (figure.split("/") for figure in contrast.outcome.figures):
                if section == "metrics" and find_metric(name).cost == "final":
                    assert contrast.outcome.reading == "final"
                    assert all(arms[arm.name].thorough for arm in contrast.arms), planned.decision.name
                    seen.add(name)
    assert {f"metrics/{name}" for name in seen} == COSTLY


def test_a_decision_of_some_presets_is_no_part_of_the_plan_of_others() -> None:
    def named(preset: Any) -> set[str]:
        plan = make_plan(preset, ["control"], tuned=TUNED)
        return {each.decision.name for each in (*plan.decisions, *plan.not_taken)}

    assert "control-dropped-labels" in named(MNIST) & named(FULL)
    assert "control-dropped-labels" not in named(QUICK) | named(SMOKE)


def test_what_a_preset_has_no_data_for_trains_nothing() -> None:
    assert make_plan(SMOKE, ["upsampling"]).arms == ()


def test_the_hash_is_of_all_that_was_decided_beforehand() -> None:
    plan = make_plan(QUICK, ["dropout"], tuned=TUNED)
    assert plan.hash == make_plan(QUICK, ["dropout"], tuned=TUNED).hash
    faster = {**TUNED, "arms": {"conditional": {"winner": 2e-3}, "dropout-3": {"winner": 1e-3}}}
    others = [
        make_plan(QUICK, ["dropout"], tuned=faster),
        make_plan(QUICK, ["dropout"], tuned=TUNED, seeds=11),
        make_plan(QUICK, ["label_use"], tuned=TUNED),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == 4


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


def test_an_arm_knows_its_own_runs() -> None:
    plan = make_plan(SMOKE, ["dropout", "loss_curves"])
    configs = {arm.name: arm.config(1) for arm in plan.arms}
    for arm in plan.arms:
        assert [name for name, config in configs.items() if arm.matches(config)] == [arm.name]
        assert not arm.matches(replace(configs[arm.name], samples=299))


@pytest.mark.parametrize("name", PRESETS)
def test_every_arm_of_a_preset_can_be_trained(name: str, request: pytest.FixtureRequest) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    needs = any("mnist" in arm.dataset.name for arm in plan.arms)
    data_dir = request.getfixturevalue("mnist_dir") if needs else None
    for arm in plan.arms:
        if "captions_mnist" not in arm.dataset.name:  # which takes seconds to caption
            arm.config(0, data_dir)


SPECS = {
    **{name: DataSpec((1, 28, 28), classes=10) for name in ("mnist", "auto")},
    "digits": DataSpec((1, 8, 8), classes=10),
    "captions_mnist": DataSpec((1, 28, 28), vocabulary=WORDS),
    "captions_digits": DataSpec((1, 8, 8), vocabulary=WORDS),
    "ring8": DataSpec((2,), bounded=False, classes=8),
    "grid25": DataSpec((2,), bounded=False, classes=25),
    "arc": DataSpec((2,), bounded=False, classes=8),
}


def built(arm: PlannedArm) -> dict[str, tuple[Any, ...]]:
    """The structure of both networks of an arm: their layers, and the shapes of their weights."""
    with torch.device("meta"), SkipInitialisation():
        networks = load_variant(arm.arm.variant).build(SPECS[arm.dataset.name], arm.recipe)
    return {
        name: (repr(network), [(key, tuple(value.shape)) for key, value in network.state_dict().items()])
        for name, network in zip(BOTH, networks, strict=True)
    }


@pytest.mark.parametrize("name", PRESETS)
def test_the_arms_of_every_contrast_differ_and_where_the_decision_says_so(name: str) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    networks = {arm.name: built(arm) for arm in plan.arms}
    wrong = {}
    for planned in plan.decisions:
        for contrast in planned.decision.contrasts:
            if contrast.control is None:
                continue
            treatment, control = (plan.arm(arm.name) for arm in contrast.arms)
            differ = tuple(n for n in BOTH if networks[treatment.name][n] != networks[control.name][n])
            same = (treatment.recipe, treatment.dataset) == (control.recipe, control.dataset)
            # On 8×8 convolutional networks have too few layers, which is why every such decision has a check on sides.
            small = any(check.figure == "side" for check in planned.decision.checks)
            if small and SPECS[treatment.dataset.name].shape[-1] < 16:
                continue
            if differ != contrast.networks or same != contrast.other_seeds:
                wrong[planned.decision.name] = (differ, contrast.networks)
    assert not wrong


def test_every_decision_on_convolutional_networks_needs_images_with_room_for_them() -> None:
    without = [
        decision.name
        for question in ALL
        for decision in question.decisions
        if not all(arm.linear or arm.dataset_role == "large" for arm in decision.arms)
        and not any(check.figure == "side" for check in decision.checks)
    ]
    assert without == []


@pytest.mark.parametrize("name", ["quick", "mnist", "full"])
def test_a_preset_of_small_images_trains_neither_convolutions_nor_the_sources_recipe_on_them(name: str) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    small = [arm for arm in plan.arms if 2 < min(SPECS[arm.dataset.name].shape[-2:], default=0) < 16]
    assert [arm.name for arm in small if not arm.arm.linear or arm.arm.recipe == "report"] == []
    assert bool(small) == (name == "quick")


def test_every_decision_on_the_sources_own_recipe_needs_its_setup_and_budget() -> None:
    for question in ALL:
        for decision in question.decisions:
            for arm in decision.arms:
                if arm.recipe == "report":
                    mine = {check.figure for check in decision.checks if check.arm == arm}
                    assert mine == {"side", "batch_size", "generator_updates"}, (decision.name, arm.name)


# Tuning


def test_every_tuned_arm_has_the_same_grid_on_seeds_of_its_own_and_half_the_budget() -> None:
    tried = trials(QUICK)
    by_arm: dict[str, list[float]] = {}
    for trial in tried:
        by_arm.setdefault(trial.name, []).append(trial.rate)
        assert min(trial.arm.seeds) >= 1000
        assert trial.arm.recipe.generator_lr == trial.arm.recipe.discriminator_lr == trial.rate
        assert 2 * trial.arm.recipe.epochs == QUICK.budgets[trial.arm.arm.dataset_role].fields["epochs"]
    assert by_arm.pop("sgd") == by_arm.pop("sgd-saturating") == [100 * rate for rate in RATES]
    assert all(rates == list(RATES) for rates in by_arm.values())
    assert "plain" in by_arm
    assert not {"report", "few", "labels-shuffled", "rate-times-10"} & set(by_arm)


def test_the_median_chooses_and_an_edge_is_flagged() -> None:
    values = {2e-4: [-2.0, -2.1, -1.9], 5e-4: [-1.0, -1.2, -9.0], 1e-3: [-1.5, -0.1, -1.6], 2e-3: [-math.inf] * 3}
    entry = chosen(values, "fid_normalized")
    assert (entry["winner"], entry["edge"]) == (5e-4, False)
    assert entry["quality"] == pytest.approx(math.exp(1.2), abs=1e-5)
    assert entry["grid"]["0.0005"] == [1.0, 1.2, 9.0]
    assert entry["grid"]["0.002"] == [None, None, None]
    assert chosen({2e-4: [0.9], 5e-4: [0.8]}, "overlap") | {"grid": {}} == {
        "metric": "overlap",
        "grid": {},
        "winner": 2e-4,
        "edge": True,
        "quality": 0.9,
    }
    with pytest.raises(UserError, match="every rate"):
        chosen({1e-3: [-math.inf]}, "overlap")


def test_a_failed_run_is_the_worst_quality() -> None:
    journal = lines("metrics/fid_normalized", {0: 9.0, 1: 8.0})
    assert quality(journal, "FINISHED", "fid_normalized", 1) == pytest.approx(-math.log(8))
    assert quality(journal, "FAILED", "fid_normalized", 1) == -math.inf
    assert quality(lines("metrics/fid_normalized", {0: 9.0, 1: 9.5}), "FINISHED", "fid_normalized", 1) == -math.inf


def test_deviations_between_seeds_are_pooled_within_arms_at_their_winners() -> None:
    def journal(value: float) -> tuple[list[dict], int]:
        return lines("metrics/fid_normalized", {0: 99.0, 1: value}), 22

    winners = {"plain": {"winner": 1e-3, "quality": 2.0}, "uniform": {"winner": 5e-4, "quality": 2.0}}
    journals = {
        ("plain", 1e-3): [journal(math.e), journal(math.e**3), journal(math.e**2)],
        ("plain", 5e-4): [journal(1.0), journal(9e9)],
        ("uniform", 5e-4): [journal(5.0), journal(5.0)],
    }
    tuned = {"deviations": deviations(QUICK, winners, journals)}
    assert pilot_deviation(tuned, "images", LN_FID) == pytest.approx(math.sqrt(2 / 3), abs=1e-6)  # of 1 and 0
    assert math.isnan(pilot_deviation(tuned, "points", OVERLAP))
    assert math.isnan(pilot_deviation({}, "images", LN_FID))


def test_the_deviations_that_are_kept_are_those_of_outcomes_that_are() -> None:
    """They are found by words, so that an outcome told anew loses its own."""
    kept = read_tuning("quick")["deviations"]
    contrasts = [contrast for question in ALL for decision in question.decisions for contrast in decision.contrasts]
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
