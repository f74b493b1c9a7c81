"""How arms stand: ranks say what is sure, means have their intervals, and arms of other tasks are not ranked."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from reports.analysis import standings
from reports.analysis.summaries import mean_with_interval
from reports.reading.runs import RunRecord
from tests.made_runs import decided, fid, index, made, page, rows, smoke


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


def test_arms_on_other_data_are_compared_and_those_whose_task_differs_are_not_ranked():
    plan = smoke("dropout", "mode_collapse")
    answers = decided(plan, made(plan))
    assert not answers.evidence.refused  # 300 images against 300, and all against all
    images, arcs = standings.compute_standings(answers.evidence)
    assert (bool(images.ranks), bool(arcs.ranks)) == (True, False)


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
