"""What a verdict rests on: missing, failed, foreign and repeated runs are told apart, and odd ones are not compared."""

import math
import re
from dataclasses import replace

import pytest

from benchmarks.questions.base import LN_FID
from benchmarks.statistics.verdicts import NO_VERDICT, SUPPORTED, UNDETERMINED
from reports.analysis.evidence import oriented_number
from reports.reading.runs import RunRecord
from tests.made_runs import decided, effect, fid, index, made, outcome, page, rows, smoke

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


def test_a_run_without_the_figure_that_decides_is_left_out_and_said():
    plan = smoke("dropout")
    runs = made(plan)
    (first, *_) = [run for run in runs if plan.arm("dropout-3").matches(run.config)]
    bare = replace(first, lines=tuple({**line, "probes": {}} for line in first.lines))
    answers = decided(plan, [bare if run is first else run for run in runs])
    assert effect(answers, "I3c-all").seeds == (9, 10)
    assert "lack the figure that decides" in index(answers)
    assert first.id in rows(index(answers), "`I3c-all`")[0]


def test_a_failed_run_has_a_number_and_one_without_the_figure_has_none():
    plan = smoke("loss_curves")
    run = made(plan)[0]
    wanted = plan.decisions[0].contrasts[0].contrast.outcome
    assert oriented_number(replace(run, state="FAILED"), wanted) == oriented_number(run, wanted)
    assert oriented_number(replace(run, state="FAILED"), LN_FID) == -math.inf
    assert math.isnan(oriented_number(replace(run, lines=({"epoch": 0}, {"epoch": 1})), wanted))


# What cannot be compared


def test_foreign_and_repeated_runs_count_nowhere():
    plan = smoke("loss_curves")
    runs = made(plan)
    foreign = [replace(run, config=replace(run.config, seed=77), id=f"x{run.id}") for run in runs[:3]]
    again = replace(runs[0], id="again", lines=tuple({**line, "timing": {"time": 0.0}} for line in runs[0].lines))
    answers = decided(plan, [*foreign, again, *runs])
    assert (answers.evidence.others, answers.evidence.repeated) == (3, (again,))
    assert [len(arm.ended) for arm in answers.evidence.arms] == [10, 10]
    assert "3 runs of 24 found belong to no arm of this plan" in index(answers, [None] * 24)


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


def test_points_that_every_seed_draws_for_itself_are_compared():
    plan = smoke("mode_collapse")
    runs = made(plan)
    assert len({run.config.checksum for run in runs}) == len(runs)
    assert not decided(plan, runs).evidence.refused
