"""Reports on questions: planted effects come out, on the right side; what is missing, failed or foreign is told."""

import io
import math
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.questions import QUESTIONS, load_question
from benchmarks.questions.base import LN_FID
from benchmarks.questions.presets import PRESETS
from benchmarks.run_folder.folder import RunFolder
from benchmarks.statistics.verdicts import CONTRADICTED, IN_BETWEEN, NO_DIFFERENCE, NO_VERDICT, SUPPORTED, UNDETERMINED
from benchmarks.suites.plan import Plan, make_plan
from benchmarks.suites.plan_history import record_plan
from reports import figures, pages, report
from reports.analysis import standings
from reports.analysis.amounts import describe_effect, describe_margin, effect_scale
from reports.analysis.evidence import oriented_number
from reports.analysis.shares import list_shares_read
from reports.analysis.summaries import mean_with_interval
from reports.build import Report, answer_questions, build_report, main, write_report
from reports.figures.illustrations import SAMPLE_COLORS, draw_pictures
from reports.reading.runs import FoundRuns, RunRecord, find_runs, read_run
from reports.records import RECORDS, as_displayed, pack_records
from tests.compared_runs import Tags
from tests.made_runs import (
    ENVIRONMENT,
    UPDATES,
    decided,
    effect,
    fid,
    index,
    made,
    outcome,
    page,
    rows,
    smoke,
    tuned,
)
from variants import UserError

# What is planted comes out


def test_every_kind_of_verdict_comes_out_where_it_was_planted():
    plan = smoke("mode_collapse", "control", "critic_steps", "text_to_image", "discriminator_layers")
    planted = {
        "arc-1": {"metrics/overlap": 0.95},
        "arc-8": {"metrics/overlap": 0.55},
        "rate-times-10": fid(60),
        "dropped-classes": fid(60),
        "packing-points": {"metrics/overlap": 0.9},
        "captions": {"metrics/caption_agreement_held_out": 0.42},
        "conv-discriminator": fid(25),
    }
    five = plan.arm("critic-5")
    few = [run for run in made(plan, planted) if not (five.matches(run.config) and run.config.seed > 2)]
    answers = decided(plan, few)
    assert {name: outcome(answers, name) for name in ("B1-eight", "B1a-packing-points", "control-rate")} == {
        "B1-eight": SUPPORTED,
        "B1a-packing-points": SUPPORTED,
        "control-rate": CONTRADICTED,
    }
    assert outcome(answers, "control-nothing-points") == NO_DIFFERENCE
    assert outcome(answers, "C4-captions") == IN_BETWEEN
    assert outcome(answers, "I3a-tuned") == UNDETERMINED  # a difference of just the margin
    assert outcome(answers, "D-five-updates") == NO_VERDICT
    assert [answer.passed for answer in answers.controls] == [True] * 5
    markdown = index(answers)
    assert "All 5 controls passed" in markdown
    assert "| **supported** |" in rows(markdown, "[B1]")[0]
    told = page(answers, "discriminator_layers")
    assert "So these runs cannot tell." in told
    assert re.search(r"seeds an arm would (settle|be needed)", told)
    assert "fewer than 5 seeds an arm have run" in page(answers, "critic_steps")


def test_the_sign_is_right_where_less_is_better():
    plan = smoke("discriminator_layers")
    answers = decided(plan, made(plan, {"conditional": fid(10), "conv-discriminator": fid(30)}))
    assert outcome(answers, "I3a-tuned") == SUPPORTED
    assert effect(answers, "I3a-tuned").shift == pytest.approx(math.log(3), abs=0.1)
    told = page(answers, "discriminator_layers")
    assert re.search(
        r"FID is lower by a factor of (2\.\d|3\.\d) with conditional GAN, linear layers than with convol", told
    )


def test_what_is_claimed_either_way_names_the_better_arm():
    plan = smoke("critic_steps")
    answers = decided(plan, made(plan, {"critic-5": fid(10)}))
    assert outcome(answers, "D-five-updates") == SUPPORTED
    row = next(row for row in rows(index(answers), "[D]") if "same number of generator updates" in row)
    assert "**supported**: five discriminator steps" in row
    assert "better is five discriminator steps" in page(answers, "critic_steps")


def test_a_better_arm_that_another_reading_turns_round_is_in_the_verdict_s_own_sentence():
    plan = smoke("critic_steps")
    answers = decided(plan, made(plan, {"critic-5": {**fid(10), "metrics/fid_pixels": 60.0}}))
    (answer,) = [each for each in answers.answers if each.name == "D-five-updates"]
    (other,) = answer.verdict.reversed_by
    assert (other.way, other.better) == ("pixels, without a classifier", plan.arm("conditional").arm.label)
    turned = "with pixels, without a classifier, the other arm is the better one"
    told = page(answers, "critic_steps")
    assert f"better is five discriminator steps; {turned}." in told
    assert f"supported: five discriminator steps; {turned}" in told
    assert f"supported (better: {other.better}) with pixels" in told
    row = next(row for row in rows(index(answers), "[D]") if "same number of generator updates" in row)
    assert f"**supported**: five discriminator steps; {turned} |" in row
    assert row.endswith("| yes |")


def test_a_constant_is_taken_off_whatever_side_is_better():
    plan = smoke("label_use", seeds=12)
    runs = made(plan, {"conditional": {"probes/label_use": 0.8}})
    assert effect(decided(plan, runs), "I2-used").shift == pytest.approx(0.3, abs=0.05)
    (decision,) = plan.decisions
    used = decision.contrasts[0]
    less = replace(used.contrast, outcome=replace(used.contrast.outcome, better="less"))
    turned = replace(plan, decisions=(replace(decision, contrasts=(replace(used, contrast=less),)),))
    answers = decided(turned, runs)
    # .8 is .3 more than .5, and worse by .3 where less is better.
    assert effect(answers, "I2-used").shift == pytest.approx(-0.3, abs=0.05)
    assert describe_effect(less, effect(answers, "I2-used"))[0].startswith(("0.8", "0.79"))


def test_arms_are_read_up_to_the_budget_that_is_equal():
    plan = make_plan(PRESETS["quick"], ["critic_steps"], tuned=tuned("quick"))
    answers = decided(plan, made(plan, {"critic-5": fid(20), "conditional": fid(20)}))
    assert effect(answers, "D-five-updates").shift == pytest.approx(0, abs=0.15)
    # At a third of its updates, which cost as much, five steps have come less far.
    early = effect(answers, "D-five-all-updates").shift
    assert early < -0.2
    third = plan.decisions[1].contrasts[0]
    assert third.control_epochs > third.treatment_epochs
    assert f"up to epoch {third.treatment_epochs:g}" in page(answers, "critic_steps")


def test_each_group_of_arms_is_told_its_own_budget():
    plan = make_plan(PRESETS["mnist"], ["critic_steps", "diminished_gradient"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan))
    (line,) = [line for line in page(answers, "diminished_gradient").splitlines() if line.startswith("*images*")]
    groups = line.partition("; evaluated")[0].split("; ")
    assert [re.search(r"[\d,]+ in all", group)[0] for group in groups] == ["7,020 in all", "2,340 in all"]
    for arm in answers.evidence.of("diminished_gradient"):
        total = f"{arm.planned.recipe.epochs * arm.planned.recipe.epoch_updates:,} in all"
        assert [total in group for group in groups if f"`{arm.name}`" in group] == [True]
    # Where all have one, no arms are named.
    (line,) = [line for line in page(answers, "critic_steps").splitlines() if line.startswith("*images*")]
    assert line.startswith(
        "*images*: mnist, 20 epochs of 351 generator updates, 7,020 in all, batches of 64; evaluated every 2 epochs on "
        "2,500 samples, by"
    )


def test_the_share_of_a_run_that_was_read_is_told_where_it_is_another_one():
    plan = make_plan(PRESETS["mnist"], ["critic_steps", "diminished_gradient"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan))
    told, sentence = (
        page(answers, "diminished_gradient"),
        "the first 2 % of the updates are the first epoch, 5 % of them",
    )
    assert told.count(f"Here {sentence}.") == 1  # that of the source's recipe is not tested
    assert f"- `B2-early-report`, `B2-early-tuned`: {sentence}." in told
    assert f"In `B2-early-report`, `B2-early-tuned`, {sentence}." in index(answers)
    # Of ten evaluations a quarter is two; five steps are read up to epoch 6.67, which three evaluations come before.
    told = page(answers, "critic_steps")
    assert "`D-five-updates`: the last quarter of training is the last 2 of 10 evaluations." in told
    assert "with five discriminator steps, the last quarter of training is the last of 3 evaluations." in told
    # Sixty epochs are evaluated twenty times, and the words are exact.
    plan = make_plan(PRESETS["quick"], ["critic_steps"], tuned=tuned("quick"))
    assert not list_shares_read(plan, plan.decisions[0].contrasts)


def test_a_decision_that_would_tell_a_number_twice_is_told_as_not_taken():
    plan = make_plan(PRESETS["mnist"], ["critic_steps"])
    answers = decided(plan, made(plan))
    why = "it would read the same evaluations as D-five-all-updates"
    assert f"(`D-five-seconds`: {why})" in page(answers, "critic_steps")
    assert rows(index(answers), "`D-five-seconds`")[0].endswith(f"| {why} |")


# What is missing or has failed


def test_a_failed_run_is_worse_than_any_other_and_enters_no_mean():
    plan = smoke("discriminator_layers")
    runs = made(plan, {"conditional": fid(10), "conv-discriminator": fid(30)})
    arm = plan.arm("conditional")
    broken = [run for run in runs if arm.matches(run.config)][:2]
    stopped = replace(broken[0], state="FAILED", cause="generator_loss is nan", lines=broken[0].lines[:2])
    untrained = dict(broken[1].lines[0]["metrics"])
    harmed = replace(broken[1], lines=(*broken[1].lines[:-1], {**broken[1].lines[-1], "metrics": untrained}))
    runs = [{broken[0].id: stopped, broken[1].id: harmed}.get(run.id, run) for run in runs]
    answers = decided(plan, runs)
    numbers = answers.evidence.tests[1].parts[0][1]
    assert sorted(numbers.treatment)[:3].count(-math.inf) == 2
    assert effect(answers, "I3a-tuned").failed == (2, 0)
    markdown = index(answers)
    assert "its FID is not below 90 % of that of the untrained generator" in markdown
    assert "its training failed: generator_loss is nan" in markdown
    assert re.match(
        r"\| conditional GAN, linear layers \| 10 \| 2 \| (9|10|11)\.\d+\xa0±", rows(markdown, "conditional GAN")[0]
    )
    assert (
        "Because runs failed, the number of seeds" in page(answers, "discriminator_layers")
        or outcome(answers, "I3a-tuned") != UNDETERMINED
    )


def test_runs_that_have_not_ended_are_missing_and_not_failed():
    plan = smoke("mode_collapse")
    planted = {"arc-1": {"metrics/overlap": 0.95}, "arc-8": {"metrics/overlap": 0.5}}
    runs = made(plan, planted)
    eight = plan.arm("arc-8")
    runs = [replace(run, state="RUNNING") if eight.matches(run.config) and run.config.seed > 6 else run for run in runs]
    answers = decided(plan, runs)
    assert effect(answers, "B1-eight").seeds == (10, 7)
    assert effect(answers, "B1-eight").failed == (0, 0)
    markdown = index(answers)
    assert rows(markdown, "8 modes")[0] == "| 8 modes | arc | 10 | 7 | 0 | 3 |"
    # Seven seeds give a raw verdict, and no share in the correction.
    assert re.search(r"\| 7 \| \(\.\d+\) \|", rows(markdown, "[B1]")[0])
    assert "A raw verdict: with 7 seeds an arm" in page(answers, "mode_collapse")
    none = decided(plan, [run for run in runs if not eight.matches(run.config)])
    assert outcome(none, "B1-eight") == NO_VERDICT
    assert "There is no verdict: no run of 8 modes has ended." in page(none, "mode_collapse")
    assert rows(index(none), "[B1]")[0].endswith("| no run of 8 modes has ended | – | – | – |")
    assert "no run of 1 mode or of 8 modes has ended" in page(decided(plan, ()), "mode_collapse")


def test_a_run_that_has_not_ended_is_told_with_its_cause():
    plan = smoke("mode_collapse")
    first, *others = made(plan)
    stopped = replace(first, state="KILLED", cause="OSError: no space", lines=first.lines[:3])
    answers = decided(plan, [stopped, *others])
    assert not any(arm.failures for arm in answers.evidence.arms)
    assert effect(answers, "B1-eight").seeds == (9, 10)
    markdown = index(answers)
    assert "These runs were begun and have not ended" in markdown
    assert rows(markdown, f"`{first.id}`")[0].endswith("| 2 | OSError: no space |")


def test_arms_whose_runs_lack_what_decides_are_named():
    plan = smoke("dropout")
    arm = plan.arm("dropout-3")
    runs = [
        replace(run, lines=tuple({**line, "probes": {}} for line in run.lines)) if arm.matches(run.config) else run
        for run in made(plan)
    ]
    told = page(decided(plan, runs), "dropout")
    assert f"There is no verdict: no run of {arm.arm.label} has the figure that decides." in told


@pytest.mark.parametrize("broken", [{"not_finite_samples": 1.0}, {"overlap": math.nan, "modes_captured": math.nan}])
def test_a_run_whose_last_samples_are_not_finite_has_failed_and_says_so(broken: dict):
    plan = smoke("mode_collapse")
    first, *others = made(plan)
    last = replace(first, lines=(*first.lines[:-1], {**first.lines[-1], "metrics": broken}))
    answers = decided(plan, [last, *others])
    assert effect(answers, "B1-eight").failed == (1, 0)
    assert effect(answers, "B1-eight").seeds == (10, 10)
    assert not answers.evidence.lacking
    count = "1 of its 300 samples is" if "not_finite_samples" in broken else "some of its 300 samples are"
    assert f"| {count} not finite |" in index(answers)


def test_a_run_that_never_learnt_is_read_as_measured_by_what_its_samples_do_not_decide():
    plan = smoke("diminished_gradient", seeds=12)
    report_, stuck = plan.arm("report"), {"curves/d_fake": 0.01}
    runs = made(plan, {"report": stuck})

    def untrained(run: RunRecord) -> RunRecord:
        return replace(run, lines=tuple({**line, "metrics": run.lines[0]["metrics"]} for line in run.lines))

    runs = [untrained(run) if report_.matches(run.config) else run for run in runs]
    answers = decided(plan, runs)
    assert len(answers.evidence.arm("report").failures) == 12
    # D(fake) was .01 in every one of them, whatever became of the samples.
    numbers = {test.name: test.parts[0][1].treatment for test in answers.evidence.tests}
    assert numbers["B2-early-report"] == pytest.approx((-0.01,) * 12, abs=0.05)
    assert set(numbers["B2-report"]) == {-math.inf}
    shown = next(
        line for line in rows(page(answers, "diminished_gradient"), report_.arm.label) if "| 12 | 12 |" in line
    )
    assert "0.01" in shown


def test_a_failed_run_takes_no_lead_from_a_metric_that_its_arm_does_not_have():
    plan = smoke("collapse_remedies")
    best, plain = (plan.arm(name) for name in ("conditional", "plain"))

    def changed(run: RunRecord) -> RunRecord:
        def metrics(found: Mapping[str, float]) -> dict[str, float]:
            others = {name: value for name, value in found.items() if name != "accuracy"}
            return (
                others
                if plain.matches(run.config)
                else others | {"accuracy": 0.99 if best.matches(run.config) else 0.5}
            )

        lines = tuple({**line, "metrics": metrics(line["metrics"])} for line in run.lines)
        # A failure says nothing of labels that its arm never had.
        return replace(
            run, lines=lines, state="FAILED" if plain.matches(run.config) and not run.config.seed else run.state
        )

    images = [arm for arm in plan.arms if arm.arm.dataset_role == "images"]
    runs = [changed(run) for run in made(plan) if any(arm.matches(run.config) for arm in images)]
    evidence = decided(plan, runs).evidence
    (standing,) = [each for each in standings.compute_standings(evidence) if each.role == "images"]
    assert len(evidence.arm("plain").failures) == 1
    assert {row.arm.name for row in standing.rows if "accuracy" in row.best} == {"conditional"}
    ranked = {rank.arm.name for rank in standings.rank_arms(evidence.arms, "accuracy")}
    assert "conditional" in ranked
    assert "plain" not in ranked


def test_a_run_without_the_figure_that_decides_is_left_out_and_said():
    plan = smoke("dropout")
    runs = made(plan)
    (first, *_) = [run for run in runs if plan.arm("dropout-3").matches(run.config)]
    bare = replace(first, lines=tuple({**line, "probes": {}} for line in first.lines))
    answers = decided(plan, [bare if run is first else run for run in runs])
    assert effect(answers, "I3c-all").seeds == (9, 10)
    assert "lack the figure that decides" in index(answers)
    assert first.id in rows(index(answers), "`I3c-all`")[0]


def test_foreign_and_repeated_runs_count_nowhere():
    plan = smoke("loss_curves")
    runs = made(plan)
    foreign = [replace(run, config=replace(run.config, seed=77), id=f"x{run.id}") for run in runs[:3]]
    again = replace(runs[0], id="again", lines=tuple({**line, "timing": {"time": 0.0}} for line in runs[0].lines))
    answers = decided(plan, [*foreign, again, *runs])
    assert (answers.evidence.others, answers.evidence.repeated) == (3, (again,))
    assert [len(arm.ended) for arm in answers.evidence.arms] == [10, 10]
    assert "3 runs of 24 found belong to no arm of this plan" in index(answers, [None] * 24)


# What cannot be compared


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extractor": "f" * 64}, "judged by different classifiers"),
        ({"precision": "bfloat16"}, "of different precision"),
        ({"checksum": "d" * 64}, "on different versions of the data"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict, why: str):
    plan = smoke("loss_curves", "discriminator_layers")
    runs = made(plan)
    odd = next(run for run in runs if plan.arm("report").matches(run.config))
    runs = [replace(run, config=replace(run.config, **change)) if run is odd else run for run in runs]
    answers = decided(plan, runs)
    assert [outcome(answers, name) for name in ("I3e-report", "I3a-report")] == [NO_VERDICT] * 2
    assert why in page(answers, "loss_curves")
    assert "not compared" in index(answers)
    # A decision on other arms is not touched.
    assert outcome(answers, "I3e-tuned") == SUPPORTED


def test_a_seed_that_stands_twice_is_refused():
    plan = smoke("loss_curves")
    runs = made(plan)
    other = replace(runs[0], id="other", config=replace(runs[0].config, plugins=(f"p:{'a' * 64}",)))
    assert outcome(decided(plan, [*runs, other]), "I3e-report") == NO_VERDICT


def test_a_control_that_cannot_be_told_makes_a_report_weak_and_not_wrong():
    plan = smoke("control")
    planted = {"rate-times-10": fid(60), "dropped-classes": fid(60)}
    # Just at the margin, which is .1.
    answers = decided(plan, made(plan, {**planted, "packing-points": {"metrics/overlap": 0.7}}))
    markdown = index(answers)
    assert "**1 control of 5 failed: this report is too weak to show an effect that is known" in markdown
    assert rows(markdown, "[`B1a-packing-points`]")[0].endswith("| supported | undetermined | **FAILED** |")


def test_points_that_every_seed_draws_for_itself_are_compared():
    plan = smoke("mode_collapse")
    runs = made(plan)
    assert len({run.config.checksum for run in runs}) == len(runs)
    assert not decided(plan, runs).evidence.refused


def test_arms_on_other_data_are_compared_and_those_whose_task_differs_are_not_ranked():
    plan = smoke("dropout", "mode_collapse")
    answers = decided(plan, made(plan))
    assert not answers.evidence.refused  # 300 images against 300, and all against all
    images, arcs = standings.compute_standings(answers.evidence)
    assert (bool(images.ranks), bool(arcs.ranks)) == (True, False)


# The controls, the plan, the code


def test_a_control_that_fails_is_loud():
    plan = smoke("control")
    answers = decided(plan, made(plan, {"packing-points": {"metrics/overlap": 0.3}, "rate-times-10": fid(60)}))
    markdown = index(answers)
    # Packing harms here, and three missing classes do not.
    assert "**2 controls of 5 failed: the verdicts below are not to be believed.**" in markdown
    assert rows(markdown, "[`B1a-packing-points`]")[0].endswith("| supported | contradicted | **FAILED** |")
    assert "The control fails: it must be supported" in page(answers, "control")
    assert markdown.index("## Controls") < markdown.index("## Verdicts")


def test_without_controls_nothing_is_to_be_relied_on():
    plan = smoke("control", "loss_curves")
    assert "no verdict. Until all have passed" in index(decided(plan, []))
    assert "has controls" in index(decided(smoke("loss_curves"), []))


def test_a_decision_of_two_questions_is_counted_once():
    plan = smoke("collapse_remedies", "control")
    answers = decided(plan, made(plan))
    assert [answer.name for answer in answers.answers].count("B1a-packing-points") == 1
    assert (
        len(rows(index(answers), "[B1a](collapse_remedies.md) | On points of the plane, the remedy helps: packing"))
        == 1
    )
    assert "`B1a-packing-points`" in page(answers, "collapse_remedies")
    assert "`B1a-packing-points`" in page(answers, "control")


def test_the_hash_and_every_deviation_from_the_first_plan_are_printed(tmp_path: Path):
    plan = smoke("loss_curves")
    first = record_plan(smoke("loss_curves", seeds=5), tmp_path, "2026-11-25 10:00")
    runs = made(plan)
    changed = index(decided(plan, runs, plans=first))
    assert plan.hash in changed
    assert first[0]["hash"] in changed
    assert "- 2 arms with another value for seeds: report, conditional" in changed
    shorter = record_plan(smoke("mode_collapse"), tmp_path / "other", "2026-11-25 10:00")
    assert "- 2 arms added: report, conditional" in index(decided(plan, runs, plans=shorter))
    same = index(decided(plan, runs, plans=[{"hash": plan.hash, "since": "now", "plan": plan.as_dict()}]))
    assert "made by this very plan" in same
    assert "There are no deviations" in same
    assert "not at hand" in index(decided(plan, runs))


def test_a_report_on_some_questions_is_corrected_as_the_whole_one():
    whole, part = smoke("loss_curves", "critic_steps"), smoke("loss_curves")
    kept = [{"hash": whole.hash, "since": "now", "plan": whole.as_dict()}]
    answers = decided(part, made(part), plans=kept, partial=True)
    assert answers.tests == len(whole.decisions) > len(part.decisions)
    assert answers.first.changes == ()
    # Of one arm the control needs twice the seeds.
    whole, part = smoke("control", "mode_collapse", "noise_distribution"), smoke("noise_distribution")
    assert whole.arm("plain").seeds != part.arm("plain").seeds
    kept = [{"hash": whole.hash, "since": "now", "plan": whole.as_dict()}]
    assert decided(part, [], plans=kept, partial=True).first.changes == ()


def test_other_code_is_said_on_the_index_and_on_the_page():
    plan = smoke("loss_curves", "mode_collapse")
    runs = made(plan)
    odd = replace(runs[0], environment={**ENVIRONMENT, "code": "0ldc0de"})
    answers = decided(plan, [odd, *runs[1:]])
    for markdown in (index(answers), page(answers, "loss_curves")):
        assert "1 run was trained by other code than the rest (`0ldc0de` instead of `c0dec0de`)" in markdown
    assert "other code" not in page(answers, "mode_collapse")


# How arms stand


def test_ranks_tell_what_is_sure_and_what_is_not():
    plan = smoke("dropout")
    answers = decided(plan, made(plan, {"dropout-3": fid(5)}))
    (standing,) = standings.compute_standings(answers.evidence)
    first, *others = standing.ranks
    assert (first.arm.name, first.low, first.high, first.first) == ("dropout-3", 1, 1, 1.0)
    assert all(rank.low > 1 and rank.high > rank.low for rank in others)
    best = {row.arm.name: row.best for row in standing.rows}
    assert best["dropout-3"] == {"fid_normalized"}  # the other metrics differ by chance alone
    assert not any(names for name, names in best.items() if name != "dropout-3")
    assert re.search(r"\| dropout \.3 \| 10 \| 0 \| \*\*\d\.\d+\xa0±\xa0\d\.\d+\*\* \|", index(answers))


def test_the_mean_stands_beside_half_its_interval():
    # Of 1, 2, 3 the deviation is 1, and t for two degrees of freedom 4.3027.
    half = mean_with_interval([1.0, 2.0, 3.0])
    assert (half.mean, half.spread) == (2.0, pytest.approx(4.3027 / 3**0.5, abs=1e-4))
    assert math.isnan(mean_with_interval([1.0]).spread)


def test_other_data_have_values_of_their_own_on_real_data():
    plan = smoke("dropout")
    runs = [
        replace(run, reference={"fid_normalized": 1.25}) if run.config.dataset.examples else run for run in made(plan)
    ]
    answers = decided(plan, runs)
    for markdown in (index(answers), page(answers, "dropout")):
        whole, few = rows(markdown, "*real data")
        assert whole.startswith("| *real data* |")
        assert few.startswith("| *real data, examples 300* |")
        assert ("0.5000" in whole, "1.250" in few) == (True, True)
    # Where they are the same, they stand once.
    assert len(rows(page(decided(plan, made(plan)), "dropout"), "*real data")) == 1


def test_a_curve_that_is_not_flat_is_named():
    plan = make_plan(PRESETS["quick"], ["mode_collapse"], tuned=tuned("quick"))
    runs = made(plan)
    rising = [
        replace(run, lines=tuple({**line, "metrics": {"overlap": line["epoch"] / 20}} for line in run.lines))
        for run in runs
        if plan.arm("arc-4").matches(run.config)
    ]
    flat = [run for run in runs if not plan.arm("arc-4").matches(run.config)]
    told = page(decided(plan, flat + rising, tuned=tuned("quick")), "mode_collapse")
    assert "4 modes: overlap is not flat at the end of the budget" in told
    assert "8 modes: overlap is not flat" not in told


def test_learning_rates_say_where_they_come_from():
    plan = make_plan(PRESETS["full"], ["control", "upsampling", "loss_curves"], tuned=tuned("full"))
    answers = decided(plan, [], tuned=tuned("full"))
    assert (
        "| 0.01 | 10 times that of `conditional` |" in rows(page(answers, "control"), "ten times the learning rate")[1]
    )
    assert (
        "the best in tuning, at the **edge** of the grid"
        in rows(page(answers, "upsampling"), "transposed convolution, kernel 4, stride 2 |")[1]
    )
    assert "| the source's own |" in rows(page(answers, "loss_curves"), "the source's own recipe")[1]
    assert "**0.001**: 2.70, 2.80, 2.60" in page(answers, "upsampling")
    assert "failed" in rows(page(answers, "upsampling"), "`transposed-4`")[0]


# In words


@pytest.mark.parametrize(
    ("better", "scale", "shift", "interval", "said"),
    [
        ("less", "ln", math.log(1.25), (math.log(1.1), math.log(1.6)), ("20 % lower", "9.1 to 38 % lower")),
        ("less", "ln", -0.1, (-0.2, 0.1), ("11 % higher", "10 % lower to 22 % higher")),
        ("less", "ln", math.log(4), (0.1, 2.0), ("lower by a factor of 4.0", "lower by a factor of 1.11 to 7.4")),
        ("more", "", 0.12, (-0.034, 0.2), ("0.12 higher", "0.034 lower to 0.20 higher")),
        ("more", "", 0.12, (-math.inf, 0.2), ("0.12 higher", "lower without bound to 0.20 higher")),
    ],
)
def test_effects_are_told_in_plain_units(better: str, scale: str, shift: float, interval: tuple, said: tuple):
    plan = smoke("mode_collapse")
    contrast = plan.decisions[0].contrasts[0].contrast
    told = replace(contrast.outcome, better=better, scale=scale, figures=("metrics/of_a_plugin",))
    contrast = replace(contrast, outcome=told)
    found = replace(effect(decided(plan, made(plan)), "B1-eight"), shift=shift, interval=interval)
    assert describe_effect(contrast, found) == said


def test_an_effect_that_cannot_be_told_names_both_arms():
    """The runs that failed may be of either."""
    plan = smoke("discriminator_layers")
    runs = made(plan, {"conditional": fid(10), "conv-discriminator": fid(30)})
    arm = plan.arm("conv-discriminator")
    runs = [replace(run, state="FAILED") if arm.matches(run.config) and run.config.seed < 7 else run for run in runs]
    told = page(decided(plan, runs), "discriminator_layers")
    assert "How much lower or higher FID is with conditional GAN, linear layers than with" in told
    assert "cannot be told, because too many runs failed or never got there; 95 % interval: lower without bound" in told
    runs = [replace(run, state="FAILED") if arm.matches(run.config) else run for run in runs]
    assert "95 % interval: lower without bound." in page(decided(plan, runs), "discriminator_layers")


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_outcome_of_our_questions_has_words(name: str):
    for decision in load_question(name).decisions:
        for contrast in decision.contrasts:
            outcome = contrast.outcome
            assert "ln" not in outcome.short_label.split()
            assert describe_margin(contrast)
            # A change within runs says what it is held against, and so does a ratio.
            assert contrast.control is not None or outcome.reference or effect_scale(outcome) == "level"


# Nobody writes into a page, and nothing depends on chance


HOSTILE = "|`]) <script>alert(1)</script> ![x](http://a.b/c.png) [y](javascript:z) \u202e www.evil.example\n# H"


def hostile(plan: Plan) -> list[RunRecord]:
    runs = [
        replace(run, id=HOSTILE + str(place), name=HOSTILE, link="javascript:alert(1)", classes=(HOSTILE,))
        for place, run in enumerate(made(plan))
    ]
    runs[0] = replace(runs[0], state="FAILED", cause=HOSTILE, environment={"code": HOSTILE})
    runs[1] = replace(runs[1], parameters={HOSTILE: 1}, reference={HOSTILE: 2.0}, environment={"code": HOSTILE})
    return runs


def test_a_hostile_run_puts_nothing_of_its_own_into_the_pages(tmp_path: Path):
    plan = smoke("loss_curves")
    kept = [{"hash": HOSTILE, "since": HOSTILE, "plan": {"arms": {HOSTILE: {}}, "decisions": {HOSTILE: {}}}}]
    build_report(FoundRuns(tuple(hostile(plan))), tmp_path / "out", True, plan=plan, plans=kept)
    tags = Tags()
    tags.feed((tmp_path / "out" / "index.html").read_text())
    ours = set("html head meta title style body section h1 h2 h3 p em strong code blockquote ul li a".split())
    ours |= set("table thead tbody tr th td img".split())
    assert {tag for tag, _ in tags.seen} <= ours
    assert all(attrs["src"].startswith("data:image/") for tag, attrs in tags.seen if tag == "img")
    names = {attrs["id"] for tag, attrs in tags.seen if tag == "section"}
    assert names == {"index", "loss_curves"}
    assert {attrs.get("href") for tag, attrs in tags.seen if tag == "a"} <= {f"#{name}" for name in names}
    for path in (tmp_path / "out").glob("*.md"):
        for block in path.read_text().split("\n\n"):
            if block.startswith("| "):
                assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}) == 1, block


def test_runs_lead_to_mlflow_where_a_server_shows_them():
    plan = smoke("loss_curves")
    first, *rest = made(plan)
    linked = replace(first, id="a" * 32, link="https://mlflow.example/#/runs/" + "a" * 32)
    told = page(decided(plan, [linked, *rest]), "loss_curves")
    assert f"[`{'a' * 32}`](https://mlflow.example/#/runs/{'a' * 32})" in told
    shown = pages.render_html({"index.md": told}, {}, "t")
    assert 'href="https://mlflow.example/#/runs/' in shown
    assert f"`{rest[0].id}`" in told


def test_the_same_runs_give_the_same_bytes_in_whatever_order_they_come():
    plan = smoke("mode_collapse")
    runs = made(plan, {"arc-1": {"metrics/overlap": 0.95}})
    shuffled = random.Random(3).sample(runs, len(runs))
    one, other = (answer_questions(FoundRuns(tuple(each)), plan) for each in (runs, shuffled))
    assert one == other
    assert set(one.pages) == {"index.md", "mode_collapse.md"}
    assert {path.rpartition("/")[2] for path in one.pictures} >= {
        "mode_collapse-effects.svg",
        "mode_collapse-training.svg",
        "mode_collapse-modes.svg",
        "samples-arc-8.png",
    }
    for path in re.findall(r"\]\((pictures/[^)]*)\)", one.pages["mode_collapse.md"]):
        assert path in one.pictures
    assert sum(map(len, one.pictures.values())) < 250_000


def test_the_gradients_of_both_losses_are_drawn():
    plan = smoke("diminished_gradient", seeds=2)
    report = answer_questions(FoundRuns(tuple(made(plan))), plan)
    assert "pictures/diminished_gradient-gradients.svg" in report.pictures
    assert outcome(decided(plan, made(plan)), "B2-tuned") == NO_VERDICT


# From the command line


def on_disk(runs_dir: Path, run: RunRecord) -> None:
    folder = RunFolder.create(runs_dir, run.config)
    folder.write_environment(run.environment)
    folder.write_json("reference.json", run.reference)
    folder.write_json("facts.json", {"parameters": run.parameters, "updates_per_epoch": UPDATES})
    for line in run.lines:
        folder.append(line)
    folder.write_bytes(folder.picture_name(run.pictured), run.picture)
    folder.set_status(run.state, epoch=run.epoch)


def test_what_an_earlier_protocol_measured_otherwise_is_left_out_and_said(tmp_path: Path):
    plan = smoke("critic_steps", seeds=5)
    for run in made(plan, {arm.name: {"metrics/copies": 0.02} for arm in plan.arms}):
        old = {name: value for name, value in ENVIRONMENT.items() if name != "protocol_version"}
        on_disk(tmp_path, replace(run, environment=old))
    runs = find_runs((), tmp_path).runs
    assert {run.protocol_version for run in runs} == {1}
    assert not any(run.reference or any("copies" in line["metrics"] for line in run.lines) for run in runs)
    markdown = index(decided(plan, runs), runs)
    assert "Measured by an earlier version of the protocol: 15 of 15 runs." in markdown
    assert "their curves show the last step only" in markdown
    assert "*real data*" not in markdown


def test_the_command_answers_the_questions_from_run_folders(tmp_path: Path, called):
    plan = smoke("loss_curves", seeds=5)
    runs = made(plan)
    for run in runs:
        on_disk(tmp_path / "runs", run)
    record_plan(plan, tmp_path / "runs", "2026-11-25 10:00")
    asked = "--preset smoke --questions loss_curves --seeds 5 --runs-dir runs --out out --html".split()
    done = called(main, *asked)
    assert (done.code, done.err) == (0, "")
    assert "10 of 10 planned runs have ended" in done.out
    # Five seeds cannot be enough for one arm against itself; a smoke run has not the source's setup.
    assert "verdicts: 1 not tested, 1 undetermined" in done.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "index.md",
        "index.html",
        "loss_curves.md",
        "pictures",
    }
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert plan.hash in (tmp_path / "out" / "index.md").read_text()
    assert str(tmp_path) not in (tmp_path / "out" / "index.md").read_text()
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    called(main, *[word.replace("runs", "elsewhere") if word == "runs" else word for word in asked])
    assert first == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert read_run(RunFolder(tmp_path / "elsewhere" / runs[0].name)).updates == UPDATES


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_kept_picture_is_the_one_that_is_shown(mode: str):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, len(mode)), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise.squeeze()).save(out, "png")
    kept = as_displayed(out.getvalue())
    shown = [figures.compact_picture(data, SAMPLE_COLORS) for data in (out.getvalue(), kept)]
    assert shown[0] == shown[1]
    if mode == "L":
        assert kept == shown[0]
        assert len(kept) < len(out.getvalue()) / 1.5
    assert as_displayed(b"no picture") == b"no picture"


def test_the_records_beside_a_report_make_the_same_report(tmp_path: Path, called):
    plan = smoke("loss_curves", seeds=5)
    for run in made(plan):
        on_disk(tmp_path / "runs", run)
        RunFolder(tmp_path / "runs" / run.name).save_tensors("generator.safetensors", {}, {})
    record_plan(plan, tmp_path / "runs", "2026-11-25 10:00")
    asked = "--preset smoke --questions loss_curves --seeds 5 --records".split()
    assert called(main, *asked, "--runs-dir", "runs", "--out", "first").code == 0
    with tarfile.open(tmp_path / "first" / RECORDS) as archive:
        names = archive.getnames()
    subprocess.run(["tar", "-xf", tmp_path / "first" / RECORDS, "-C", tmp_path], check=True)
    assert {name.partition("/")[0] for name in names} == {"smoke-runs"}
    assert not [name for name in names if name.endswith("safetensors")]
    # A picture of each arm's first seed, which a page shows, and of no other.
    pictured = [name for name in names if name.endswith("png")]
    assert len(pictured) == len(plan.arms)
    assert called(main, *asked, "--runs-dir", "smoke-runs", "--out", "second").code == 0
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")}
        for out in (tmp_path / "first", tmp_path / "second")
    )
    assert first == second
    # Those of another report would be taken for those of this one.
    asked.remove("--records")
    assert called(main, *asked, "--runs-dir", "runs", "--out", "first").code == 0
    assert not (tmp_path / "first" / RECORDS).exists()


def test_records_are_those_of_run_folders(tmp_path: Path, called):
    assert "--records needs --runs-dir" in called(main, "--records").err
    with pytest.raises(UserError, match="--records needs --runs-dir"):
        report("out", records=True)
    run = made(smoke("loss_curves", seeds=1))[0]
    with pytest.raises(UserError, match="so its records cannot be kept"):
        pack_records(tmp_path, [run], (), "runs")


def test_nothing_of_a_figure_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    plan, labels, written = make_plan(PRESETS["mnist"], tuned=tuned("mnist")), [], Figure.savefig

    def measured(figure: Figure, *words: object, **options: object) -> None:
        # As wide as an SVG has it, whatever it was laid out with.
        FigureCanvasSVG(figure)
        figure.set_dpi(FigureCanvasSVG.fixed_dpi)
        drawn, (width, height) = figure.get_tightbbox(figure._get_renderer()), figure.get_size_inches()
        assert drawn.min.min() > -0.01
        assert (drawn.x1 < width + 0.01, drawn.y1 < height + 0.01) == (True, True)
        labels.extend(ax.get_ylabel() for ax in figure.axes)
        written(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", measured)
    answers = decided(plan, made(plan), tuned=tuned("mnist"))
    for question in plan.questions:
        assert all(picture.data for picture in draw_pictures(answers, question))
    assert "share of training images\nabove test images" in labels


def test_pictures_of_an_earlier_report_go_and_those_of_others_stay(tmp_path: Path):
    index = {"index.md": "Made by `python -m reports.build`."}
    report = Report("t", index, {"pictures/a.svg": b"a"}, (), frozenset())
    write_report(report, tmp_path / "out")
    write_report(replace(report, pictures={"pictures/b.svg": b"b"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "pictures").iterdir()] == ["b.svg"]
    (tmp_path / "own" / "pictures").mkdir(parents=True)
    (tmp_path / "own" / "pictures" / "mine.png").write_bytes(b"mine")
    write_report(report, tmp_path / "own")
    assert (tmp_path / "own" / "pictures" / "mine.png").exists()


def test_mistakes_are_refused(called):
    done = called(main, "--questions", "loss_curves")
    assert done.code != 0
    assert "name it by --preset" in done.err
    assert "unknown preset 'quik'" in called(main, "--preset", "quik").err
    assert "unknown question" in called(main, "--preset", "smoke", "--questions", "loss_curve").err


def test_a_failed_run_has_a_number_and_one_without_the_figure_has_none():
    plan = smoke("loss_curves")
    run = made(plan)[0]
    wanted = plan.decisions[0].contrasts[0].contrast.outcome
    assert oriented_number(replace(run, state="FAILED"), wanted) == oriented_number(run, wanted)
    assert oriented_number(replace(run, state="FAILED"), LN_FID) == -math.inf
    assert math.isnan(oriented_number(replace(run, lines=({"epoch": 0}, {"epoch": 1})), wanted))
