"""The questions are whole, their names stand for one thing each, and they need no torch."""

import re
import subprocess
import sys

import pytest

from benchmarks.questions import QUESTIONS, Question, load_question
from benchmarks.questions.base import Arm, unique
from benchmarks.questions.presets import find_preset
from tests.conftest import ROOT
from variants.recipe import UserError

ALL = [load_question(name) for name in QUESTIONS]


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


def test_every_decision_on_convolutional_networks_needs_images_with_room_for_them() -> None:
    without = [
        decision.name
        for question in ALL
        for decision in question.decisions
        if not all(arm.linear or arm.dataset_role == "large" for arm in decision.arms)
        and not any(check.figure == "side" for check in decision.checks)
    ]
    assert without == []


def test_no_check_demands_what_a_decision_asks_so_that_the_opposite_can_come_out() -> None:
    """A quality that is compared with a constant: an arm at chance is then an answer, and not a reason for none."""
    asked = [
        (decision, contrast)
        for question in ALL
        for decision in question.decisions
        for contrast in decision.contrasts
        if contrast.control is None and "metrics/accuracy" in contrast.outcome.figures
    ]
    assert "I2-report" in {decision.name for decision, _ in asked}
    assert [d.name for d, contrast in asked if contrast.treatment not in d.may_stay_at_chance] == []


def test_every_decision_on_the_sources_own_recipe_needs_its_setup_and_budget() -> None:
    for question in ALL:
        for decision in question.decisions:
            for arm in decision.arms:
                if arm.recipe == "report":
                    mine = {check.figure for check in decision.checks if check.arm == arm}
                    assert mine >= {"side", "batch_size", "generator_updates"}, (decision.name, arm.name)
