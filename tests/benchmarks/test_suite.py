"""The command trains what the questions need, once, whatever happens in between, and MLflow shows it."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cli.progress import format_duration
from benchmarks.executors import Result
from benchmarks.questions.presets import PRESETS, SMOKE
from benchmarks.run_folder.folder import RunFolder, list_run_folders
from benchmarks.suite import main as suite
from benchmarks.suites.mlflow_questions import mean_and_interval
from benchmarks.suites.plan import make_plan
from reports import report
from reports.records import RECORDS
from tests.conftest import Done

Called = Callable[..., Done]

# Judged at the end of a run only.
SMALL = replace(SMOKE, budgets={**SMOKE.budgets, "images": replace(SMOKE.budgets["images"], evaluate_every=4)})
TINY = ("--preset", "smoke", "--questions", "loss_curves", "--executor", "inline", "--pictures", "none")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "smoke", SMALL)


def test_cuda_graphs_without_a_gpu_are_refused_once_and_nothing_is_trained(called: Callable[..., Done]) -> None:
    done = called(suite, *TINY, "--no-tracking", "--cuda-graphs")
    assert done.code == 2
    assert "error: --cuda-graphs needs --device cuda, and this is cpu\n" in done.err
    assert not list(list_run_folders(Path("runs")))


def test_a_suite_is_planned_trained_found_again_and_shown_in_mlflow(called: Called, tracking_uri: str) -> None:
    planned = called(suite, *TINY, "--plan")
    assert planned.code == 0
    assert "1 questions, 2 decisions, 2 arms, 4 runs (0 already done)" in planned.out
    assert not Path("runs").exists()

    done = called(suite, *TINY, "--tracking-uri", tracking_uri)
    assert done.code == 0, done.err
    assert "all runs of loss_curves are done" in done.out
    assert "4 runs finished, 0 failed" in done.out
    assert "of the workers' time: training " in done.out
    folders = list_run_folders("runs")
    assert [folder.status()["state"] for folder in folders] == ["FINISHED"] * 4

    before = {folder.name: folder.read_bytes("metrics.jsonl") for folder in folders}
    again = called(suite, *TINY, "--tracking-uri", tracking_uri)
    assert "4 runs (4 already done)" in again.out
    assert "of the workers' time" not in again.out
    assert {folder.name: folder.read_bytes("metrics.jsonl") for folder in folders} == before

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("gan-benchmark").experiment_id
    (parent,) = client.search_runs([experiment], "tags.kind = 'question'")
    assert parent.data.tags["plan"] == make_plan(SMALL, ["loss_curves"]).hash
    assert parent.info.status == "FINISHED"
    arms = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert {arm.data.tags["arm"] for arm in arms} == {
        "the source's own recipe",
        "conditional GAN, linear layers",
    }
    assert (parent.info.run_name, {arm.info.run_name for arm in arms}) == ("loss_curves", {"report", "conditional"})
    trained = client.search_runs([experiment], "tags.run_key != ''")
    assert {run.info.run_name for run in trained} == {
        f"{arm}, seed {seed}" for arm in ("report", "conditional") for seed in (0, 1)
    }
    assert len(trained) == 4
    assert {run.data.tags["question.loss_curves"] for run in trained} == {arm.data.tags["arm"] for arm in arms}
    for arm in arms:
        ids = arm.data.tags["runs"].split()
        values = [run.data.metrics["fid_normalized"] for run in trained if run.info.run_id in ids]
        mean, low, high = mean_and_interval(values)
        assert len(values) == 2
        shown = arm.data.metrics
        assert (shown["fid_normalized"], shown["fid_normalized.low"], shown["fid_normalized.high"]) == pytest.approx(
            (mean, low, high)
        )
        assert shown["finished"] == 2


def test_what_was_interrupted_goes_on(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.executors import inline

    real, count = inline.train_job, []

    def interrupted(*words: object, **rest: object) -> Result:
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return real(*words, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(inline, "train_job", interrupted)
        assert called(suite, *TINY, "--no-tracking", "--stack", "off").code == 130
    assert sum(folder.status()["state"] == "FINISHED" for folder in list_run_folders("runs")) == 2
    done = called(suite, *TINY, "--no-tracking")
    assert "4 runs (2 already done)" in done.out
    assert done.code == 0

    # And from the records that a report kept, on another machine.
    report("out", "smoke", ["loss_curves"], runs_dir="runs", records=True)
    subprocess.run(["tar", "-xf", Path("out", RECORDS)], check=True)
    found = called(suite, *TINY, "--no-tracking", "--runs-dir", "smoke-runs")
    assert "4 runs (4 already done)" in found.out
    assert found.code == 0


def test_mistakes_are_told_in_a_sentence(called: Called) -> None:
    for words, sentence in (
        (("--preset", "quik"), "unknown preset 'quik'; did you mean 'quick'"),
        (("--preset", "smoke", "--questions", "droput"), "did you mean 'dropout'"),
        (("--preset", "smoke", "--seeds", "-1"), "--seeds is at least 1, not -1"),
        (("--preset", "smoke", "--questions", "dropout", "--executor", "proceses"), "did you mean 'processes'"),
        (("--preset", "smoke", "--questions", "dropout", "--dataset", "digts"), "did you mean 'digits'"),
    ):
        done = called(suite, *words)
        assert done.code == 2, done.out
        assert sentence in done.err + done.out
    assert not Path("runs").exists() or not list_run_folders("runs")


@pytest.mark.long
def test_runs_that_did_not_end_are_told_and_the_same_command_trains_them(
    called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.training.loop.Training.evaluate", broken)
        done = called(suite, *TINY, "--no-tracking")
    assert done.code == 1
    assert "did not end: ZeroDivisionError: a bug" in done.out
    assert "all runs of loss_curves are done, except 4 that did not end" in done.out
    assert "0 runs finished, 0 failed" in done.out
    assert "4 did not end; run the same command again to resume them" in done.out
    assert {folder.status()["state"] for folder in list_run_folders("runs")} == {"KILLED"}
    assert "4 runs finished, 0 failed" in called(suite, *TINY, "--no-tracking").out


def test_durations_are_told_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (45, 600, 9000)] == ["45 s", "10 min", "2.5 h"]


def test_a_folder_of_plans_is_no_run(tmp_path: Path) -> None:
    RunFolder(tmp_path / "plans").make()
    assert list_run_folders(tmp_path) == []
