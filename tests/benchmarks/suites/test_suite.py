"""The suite: what is trained is what the questions need, once, whatever happens in between; and what MLflow shows."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from benchmarks.cli.progress import SuiteProgress, format_duration
from benchmarks.executors import Result, RunGroup, RunOptions
from benchmarks.questions.presets import SMOKE
from benchmarks.run_folder.folder import RunFolder, list_run_folders
from benchmarks.suite import main as suite
from benchmarks.suites.mlflow_questions import mean_and_interval
from benchmarks.suites.plan import make_plan
from benchmarks.suites.scheduler import all_ended, prepared, run_jobs, shared_out
from reports import report
from reports.records import RECORDS
from tests.conftest import Done
from variants.recipe import UserError

Called = Callable[..., Done]
TINY = ("--preset", "smoke", "--questions", "loss_curves", "--executor", "inline", "--pictures", "none")


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
    assert parent.data.tags["plan"] == make_plan(SMOKE, ["loss_curves"]).hash
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
        assert "decides/I3e-report" in shown or "decides/I3e-tuned" in shown


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


def test_arms_whose_data_are_not_to_be_had_are_named(tmp_path: Path) -> None:
    from benchmarks.questions.presets import QUICK
    from tests.made_tuning import TUNED

    plan = make_plan(QUICK, ["upsampling", "loss_curves"], tuned=TUNED, seeds=1)
    jobs, missing = prepared(plan, tmp_path, judge=False)
    assert {arm.name for arm, _ in jobs} == {"conditional"}
    assert set(missing) == {"transposed-4", "transposed-5", "resized", "pixel-shuffle"}
    assert all("MNIST is not complete" in why for why in missing.values())


class Scripted:
    """An executor whose runs end as they are told to."""

    workers = 1

    def __init__(self, endings: list[Result]) -> None:
        self.endings, self.submitted = endings, []

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        futures = []
        for config in job.configs:
            self.submitted.append(config.seed)
            future: Future[Result] = Future()
            future.set_result(self.endings.pop(0))
            futures.append(future)
        return futures

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_failure_of_the_machine_is_tried_once_more_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (arm, *_) = make_plan(SMOKE, ["loss_curves"], seeds=3).arms
    configs = tuple(arm.config(seed) for seed in (0, 1, 2))
    names = [config.name for config in configs]
    executor = Scripted(
        [
            Result(names[0], "KILLED", "killed", machine=True),
            Result(names[1], "FAILED", "diverged"),
            Result(names[2], "KILLED", "killed", machine=True),
            Result(names[0], "FINISHED", seconds=1.0),
            Result(names[2], "KILLED", "killed again", machine=True),
        ]
    )
    monkeypatch.setattr("benchmarks.suites.scheduler.open_executor", lambda *_, **__: executor)
    with SuiteProgress("test", 3) as live:
        results = run_jobs([RunGroup(configs)], "inline", RunOptions(tmp_path), live)
    assert sorted(executor.submitted) == [0, 0, 1, 2, 2]
    assert {result.name: (result.state, result.cause) for result in results} == {
        names[0]: ("FINISHED", ""),
        names[1]: ("FAILED", "diverged"),
        names[2]: ("KILLED", "killed again"),
    }
    assert (live.done, live.failed, live.killed) == (3, 1, 1)
    # Nothing is decided without a run that has not ended; one that failed is a result.
    with pytest.raises(
        UserError, match=rf"1 of 3 runs did not end, such as {names[2]} \(killed again\); the same command"
    ):
        all_ended(results)
    all_ended([result for result in results if result.state != "KILLED"])


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
    assert "all runs of loss_curves are done, but for 4 that did not end" in done.out
    assert "0 runs finished, 0 failed" in done.out
    assert "4 did not end; the same command goes on with them" in done.out
    assert {folder.status()["state"] for folder in list_run_folders("runs")} == {"KILLED"}
    assert "4 runs finished, 0 failed" in called(suite, *TINY, "--no-tracking").out


def test_an_interval_of_the_mean_is_students() -> None:
    mean, low, high = mean_and_interval([1.0, 2.0, 3.0])
    # t of 2 degrees of freedom at .975 is 4.302653; the standard error is 1/√3.
    assert (mean, low, high) == pytest.approx((2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)


def test_durations_are_told_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (45, 600, 9000)] == ["45 s", "10 min", "2.5 h"]


def test_a_folder_of_plans_is_no_run(tmp_path: Path) -> None:
    RunFolder(tmp_path / "plans").make()
    assert list_run_folders(tmp_path) == []


def test_what_the_workers_did_is_told_and_what_was_done_before_is_no_part_of_it(tmp_path: Path) -> None:
    timings = [
        {"time": 90.0, "seconds": 50.0},
        {"time": 101.0, "seconds": 5.0, "evaluation_seconds": 2.0, "probe_seconds": 1.0},
        {"time": 105.0, "seconds": 1.0},
    ]
    lines = [{"epoch": epoch, "curves": {}, "timing": timing} for epoch, timing in enumerate(timings)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = shared_out([tmp_path, tmp_path / "never begun"], 100.0, 10.0)
    assert told == "of the workers' time: training 60%, judging 20%, probes 10%, all else 10%"
