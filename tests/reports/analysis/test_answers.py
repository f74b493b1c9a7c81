"""Verdicts of whole plans: planted effects come out on the right side, controls judge a report, plans are compared."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.questions.presets import PRESETS
from benchmarks.statistics.verdicts import CONTRADICTED, IN_BETWEEN, NO_DIFFERENCE, NO_VERDICT, SUPPORTED, UNDETERMINED
from benchmarks.suites.plan import make_plan
from benchmarks.suites.plan_history import record_plan
from reports.analysis.amounts import describe_effect
from tests.made_runs import ENVIRONMENT, decided, effect, fid, index, made, outcome, page, rows, smoke, tuned

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


# Controls


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


def test_a_control_that_cannot_be_told_makes_a_report_weak_and_not_wrong():
    plan = smoke("control")
    planted = {"rate-times-10": fid(60), "dropped-classes": fid(60)}
    # Just at the margin, which is .1.
    answers = decided(plan, made(plan, {**planted, "packing-points": {"metrics/overlap": 0.7}}))
    markdown = index(answers)
    assert "**1 control of 5 failed: this report is too weak to show an effect that is known" in markdown
    assert rows(markdown, "[`B1a-packing-points`]")[0].endswith("| supported | undetermined | **FAILED** |")


# The plan and the code


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
