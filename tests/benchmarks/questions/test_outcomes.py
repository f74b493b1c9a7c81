"""A journal becomes the number that is said, and a failed run is the worst."""

import math
from dataclasses import replace

import pytest

from benchmarks.questions import QUESTIONS, load_question
from benchmarks.questions.base import LN_FID, OVERLAP, Outcome
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
from benchmarks.suites.tuning import score_quality
from tests.made_journals import make_lines


def test_late_is_the_mean_of_the_last_quarter_of_evaluations() -> None:
    journal = make_lines(values={0: 9.0, **{epoch: float(epoch) for epoch in range(1, 21)}})
    assert read_outcome(OVERLAP, journal, updates=1) == 18.0  # 16 to 20
    assert read_outcome(OVERLAP, journal, updates=1, epochs=8.5) == 7.5  # 7 and 8
    assert read_outcome(replace(OVERLAP, better="less"), journal, updates=1) == -18.0
    assert read_outcome(replace(OVERLAP, reading="final"), journal, updates=1) == 20.0


def test_a_logarithm_is_taken_before_the_mean() -> None:
    journal = make_lines(
        "metrics/fid_normalized", {0: 50.0, 1: 8.0, 2: 1.0, 3: 4.0, 4: 1.0, 5: 1.0, 6: 1.0, 7: 2.0, 8: 8.0}
    )
    assert read_outcome(LN_FID, journal, updates=1) == pytest.approx(-(math.log(2) + math.log(8)) / 2)
    error = Outcome("", ("metrics/gan_train",), "less", "final", "ln_error")
    assert read_outcome(error, make_lines("metrics/gan_train", {3: 0.75}), updates=1) == pytest.approx(math.log(4))


def test_early_rise_and_change_are_of_updates_not_of_evaluations() -> None:
    journal = make_lines("curves/d_fake", {epoch: 0.1 if epoch <= 2 else 0.5 for epoch in range(1, 101)})
    early = Outcome("", ("curves/d_fake",), "less", "early")
    assert read_outcome(early, journal, updates=1) == pytest.approx(-0.1)
    assert read_outcome(replace(early, reading="rise", better="more"), journal, updates=1) == pytest.approx(0.4)
    falling = make_lines("curves/d_fake", {epoch: 1.0 if epoch == 1 else epoch / 100 for epoch in range(1, 101)})
    assert read_outcome(replace(early, reading="change", better="more"), falling, updates=1) == pytest.approx(
        0.955 - 1.0
    )


def test_reaching_a_threshold_is_interpolated_and_may_never_come() -> None:
    series = [(0, 100.0), (10, 10.0), (20, 1.0)]
    assert log_updates_to(series, 5, 10.0) == pytest.approx(math.log(50))
    assert log_updates_to(series, 5, math.sqrt(10.0)) == pytest.approx(math.log(75))
    assert log_updates_to(series, 5, 0.5) == math.inf
    outcome = Outcome("", ("metrics/fid_normalized",), "less", "reaching", threshold_of="plain")
    journal = make_lines("metrics/fid_normalized", dict(series))
    assert read_outcome(outcome, journal, updates=5, threshold=0.5) == -math.inf


def test_a_figure_that_is_absent_is_no_number() -> None:
    assert math.isnan(read_outcome(OVERLAP, make_lines("metrics/fid", {1: 2.0}), updates=1))


def test_a_run_fails_that_ends_no_better_than_it_began() -> None:
    sound = make_lines("metrics/fid_normalized", {0: 50.0, 5: 20.0, 10: 44.0})
    assert explain_failure("FINISHED", sound) == ""
    assert "training failed" in explain_failure("FAILED", sound)
    assert explain_failure("FINISHED", make_lines("metrics/overlap", {0: 0.1, 5: 0.0})) == ""


@pytest.mark.parametrize(("last", "failed"), [(1.02, True), (0.98, True), (0.9, True), (0.89, False), (0.1, False)])
def test_images_fail_that_end_hardly_better_than_the_untrained_generator(last: float, failed: bool) -> None:
    """Ten runs that never began to learn ended between .98 and 1.02 of it: half of them would have passed below 1."""
    journal = make_lines("metrics/fid_normalized", {0: 50.0, 5: 20.0, 10: 50.0 * last})
    why = "its FID is not below 90 % of that of the untrained generator" if failed else ""
    assert explain_failure("FINISHED", journal) == why
    # Read up to epoch 5 it has learnt.
    assert explain_failure("FINISHED", journal, 5) == ""


@pytest.mark.parametrize("figure", ["fid_normalized", "overlap"])
def test_samples_that_are_not_finite_fail_a_run_of_images_and_of_points(figure: str) -> None:
    sound = make_lines(f"metrics/{figure}", {0: 50.0, 5: 20.0, 10: 10.0})

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
    assert score_quality(old, "FINISHED", figure, 1) == -math.inf


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
    assert measure_drift("metrics/overlap", make_lines(values=flat)) == 0
    assert measure_drift("metrics/overlap", make_lines(values={**flat, **dict.fromkeys(range(16, 21), 1.5)})) == 0.5
    assert math.isnan(measure_drift("metrics/overlap", make_lines(values={1: 1.0})))
