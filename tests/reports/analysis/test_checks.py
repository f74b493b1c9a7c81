"""Construct checks: a decision whose runs are not about its claim is *not tested*, whatever its numbers say."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks.questions import Check
from benchmarks.questions.arms import CONDITIONAL, REPORT, SOURCE_UPDATES
from benchmarks.questions.presets import MNIST, PRESETS
from benchmarks.statistics.verdicts import NOT_TESTED
from benchmarks.suites.plan import Plan, make_plan
from reports.analysis.answers import Answer, Answers, answer_plan
from reports.analysis.checks import check_construct
from reports.analysis.evidence import gather_evidence
from reports.reading.runs import RunRecord, find_runs
from tests.conftest import ROOT
from tests.made_runs import decided, fid, index, made, page, smoke

RECORDS = ROOT / "reports" / "published" / "mnist" / "runs.tar.xz"

# The verdicts on MNIST that an audit withdrew, with the check that each of them fails.
WITHDRAWN = {
    "I3e-report": "reach",
    "B2-report": "reach",
    "B2-early-report": "reach",
    "B2-norms-report": "reach",
    "B1a-packing-images": "disease",
    "B1a-conditional-images": "disease",
    "B1c-replay-images": "disease",
    "I2-used": "sees",
    "I3c-all": "disease",
    "I3c-few": "learned",
}


def answer(answers: Answers, name: str) -> Answer:
    return next(each for each in answers.answers if each.name == name)


def failing(answers: Answers, name: str) -> list[str]:
    return [check.kind for check in answer(answers, name).checks if not check.holds]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the published records of MNIST answer."""
    folder = tmp_path_factory.mktemp("records")
    subprocess.run(["tar", "xf", RECORDS, "-C", folder], check=True)
    return answer_plan(gather_evidence(make_plan(MNIST), find_runs((), folder / "mnist-runs").runs))


def test_what_was_withdrawn_is_not_tested_by_the_published_records(published: Answers) -> None:
    found = {each.name: failing(published, each.name) for each in published.answers if each.outcome == NOT_TESTED}
    assert set(found) == set(WITHDRAWN)
    for name, kind in WITHDRAWN.items():
        assert kind in found[name], name
    assert all(each.passed for each in published.controls)


def test_what_is_not_tested_has_no_verdict_and_keeps_its_place_in_the_correction(published: Answers) -> None:
    assert published.tests == len(published.plan.decisions)
    for name in WITHDRAWN:
        assert answer(published, name).verdict is None
    # The smallest of p is multiplied by the number of all tests.
    smallest = min((each.verdict for each in published.answers if each.verdict), key=lambda verdict: verdict.p)
    assert smallest.adjusted == pytest.approx(min(1.0, published.tests * smallest.p))


def changed(runs: list[RunRecord], plan: Plan, arm: str, **values: object) -> list[RunRecord]:
    return [replace(run, **values) if plan.arm(arm).matches(run.config) else run for run in runs]


def test_sizes_have_to_match_unless_they_are_part_of_the_claim() -> None:
    plan = smoke("discriminator_layers", "collapse_remedies")
    runs = made(
        plan, {"conditional": fid(10), "conv-discriminator": fid(30), "packing-points": {"metrics/overlap": 0.9}}
    )
    fair = decided(plan, runs)
    assert answer(fair, "I3a-tuned").outcome == "supported"
    larger = {"generator": 123_456, "discriminator": int(1.2 * 65_432)}
    unfair = decided(plan, changed(runs, plan, "conv-discriminator", parameters=larger))
    assert (answer(unfair, "I3a-tuned").outcome, failing(unfair, "I3a-tuned")) == (NOT_TESTED, ["fair"])
    assert "78,518 and 65,432 weights" in page(unfair, "discriminator_layers") or "65,432 and 78,518 weights" in page(
        unfair, "discriminator_layers"
    )
    packed = decided(plan, changed(runs, plan, "packing-points", parameters=larger))
    assert answer(packed, "B1a-packing-points").outcome == "supported"
    assert "they differ by intention: packing doubles" in page(packed, "collapse_remedies")
    unknown = decided(plan, changed(runs, plan, "conv-discriminator", parameters={}))
    assert failing(unknown, "I3a-tuned") == ["fair", "fair"]


def test_the_work_of_both_arms_is_printed_beside_their_sizes_where_it_was_counted() -> None:
    plan = smoke("discriminator_layers")
    runs = made(plan, {"conditional": fid(10), "conv-discriminator": fid(30)})
    assert "operations" not in page(decided(plan, runs), "discriminator_layers").partition("## Protocol")[0]
    counted = [replace(run, operations={"generator": 4_000, "discriminator": 2_000}) for run in runs]
    many = changed(counted, plan, "conv-discriminator", operations={"generator": 4_000, "discriminator": 90_000})
    written = page(decided(plan, many), "discriminator_layers")
    assert "2,000 and 90,000 operations an example" in written or "90,000 and 2,000 operations an example" in written
    assert "| operations an example (G + D) |" in written
    assert "| 4,000 + 90,000 |" in written


def test_arms_that_never_left_chance_are_not_compared() -> None:
    plan = smoke("critic_steps")
    stuck = decided(plan, made(plan, {"critic-5": fid(300)}))
    assert (answer(stuck, "D-five-updates").outcome, failing(stuck, "D-five-updates")) == (NOT_TESTED, ["learned"])
    guessing = decided(plan, made(plan, {"critic-5": {"metrics/accuracy": 0.1}}))
    assert failing(guessing, "D-five-updates") == ["learned"]
    assert failing(decided(plan, made(plan)), "D-five-updates") == []


def test_an_arm_of_which_the_claim_says_so_may_stay_at_chance() -> None:
    plan = smoke("control")
    answers = decided(plan, made(plan, {"rate-times-10": fid(390)}))
    assert answer(answers, "control-rate").outcome == "contradicted"


def test_a_remedy_needs_a_disease() -> None:
    plan = smoke("collapse_remedies")
    healthy = {"plain": {"metrics/mode_coverage": 1.0}, "plain-points": {"metrics/overlap": 0.97}}
    answers = decided(plan, made(plan, healthy))
    remedies = [each for each in answers.answers if any(check.kind == "disease" for check in each.checks)]
    assert remedies
    assert {each.outcome for each in remedies} == {NOT_TESTED}
    # A control that is not tested has neither passed nor failed.
    assert answer(answers, "B1a-packing-points").passed is None


def test_the_probe_of_label_use_has_to_see_what_the_accuracy_proves() -> None:
    plan = smoke("label_use")

    def outcome(conditional: Mapping[str, float]) -> str:
        planted = {"conditional": conditional, "labels-shuffled": {"probes/label_use": 0.5, "metrics/accuracy": 0.1}}
        return answer(decided(plan, made(plan, planted, spread=0.01)), "I2-used").outcome

    assert outcome({"probes/label_use": 0.75}) == "supported"
    assert outcome({"probes/label_use": 0.5, "metrics/accuracy": 0.92}) == NOT_TESTED
    # Labels that nothing proves to be used may be unused.
    assert outcome({"probes/label_use": 0.5, "metrics/accuracy": 0.1}) == "no practical difference"


def test_the_sources_recipe_is_tested_by_its_own_setup_only() -> None:
    plan = smoke("loss_curves")
    runs = made(plan)
    short = decided(plan, runs)
    assert failing(short, "I3e-report") == ["reach", "reach"]
    assert failing(short, "I3e-tuned") == []
    recipe = plan.arm(REPORT.name).recipe
    whole = replace(recipe, batch_size=128)
    arms = tuple(replace(arm, recipe=whole) if arm.name == REPORT.name else arm for arm in plan.arms)
    plan = replace(plan, arms=arms)
    updates = SOURCE_UPDATES // recipe.epochs
    runs = [replace(run, updates=updates) for run in made(plan)]
    assert failing(decided(plan, runs), "I3e-report") == []
    few = [replace(run, updates=updates - 1) for run in runs]
    assert failing(decided(plan, few), "I3e-report") == ["reach"]
    small = [replace(run, shape=(1, 8, 8)) for run in runs]
    assert failing(decided(plan, small), "I3e-report") == ["reach"]


def test_the_reason_and_the_figures_are_told() -> None:
    plan = smoke("collapse_remedies", "loss_curves")
    answers = decided(plan, made(plan, {"plain": {"metrics/mode_coverage": 1.0}}))
    told = page(answers, "collapse_remedies")
    assert "Not tested: it needs a control that covers less than 0.9 of the modes" in told
    assert "| construct check | of | needs | measured | holds |" in told
    assert "| **no** |" in told
    assert "**not tested**" in index(answers)
    assert "Not tested, because a construct check fails" in index(answers)


def test_a_figure_that_no_run_has_fails_its_check() -> None:
    plan = smoke("dropout")
    runs = [replace(run, lines=tuple({**line, "probes": {}} for line in run.lines)) for run in made(plan)]
    evidence = gather_evidence(plan, runs)
    found = check_construct(plan.decisions[0], evidence.by_name)
    assert [check.measured for check in found if check.kind == "disease"] == ["not measured"]
    assert not all(check.holds for check in found)


@pytest.mark.parametrize("limits", [{}, {"low": 2.0, "high": 1.0}, {"low": float("nan")}])
def test_a_check_that_nothing_or_everything_passes_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="excludes nothing or everything"):
        Check("reach", CONDITIONAL, "batch_size", "a batch", **limits)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.arms])
def test_checks_are_part_of_the_hashed_plan(name: str) -> None:
    from tests.made_tuning import TUNED

    plan = make_plan(PRESETS[name], tuned=TUNED)
    kept = plan.as_dict()["decisions"]
    for planned in plan.decisions:
        assert len(kept[planned.decision.name]["checks"]) == len(planned.decision.checks)
    assert any(each["checks"] for each in kept.values())
