"""Jobs end as they should: the machine's failures are tried once more, missing data are named, time is shared out."""

import json
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cli.progress import SuiteProgress
from benchmarks.executors import Result, RunGroup, RunOptions
from benchmarks.questions.presets import SMOKE, Budget
from benchmarks.suites.plan import make_plan
from benchmarks.suites.scheduler import describe_worker_time, prepare_jobs, require_all_ended, run_jobs
from tests.made_tuning import TUNED, TUNED_QUICK
from variants.recipe import UserError


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
        require_all_ended(results)
    require_all_ended([result for result in results if result.state != "KILLED"])


def test_arms_whose_data_are_not_to_be_had_are_named(tmp_path: Path) -> None:
    budgets = {**TUNED_QUICK.budgets, "large": Budget("mnist", "default", {"epochs": 1}, 1, 100)}
    plan = make_plan(replace(TUNED_QUICK, budgets=budgets), ["upsampling", "loss_curves"], tuned=TUNED, seeds=1)
    jobs, missing = prepare_jobs(plan, tmp_path, classifiers=False)
    assert {arm.name for arm, _ in jobs} == {"conditional"}
    assert set(missing) == {"transposed-4", "transposed-5", "resized", "pixel-shuffle"}
    assert all("MNIST is not complete" in why for why in missing.values())


def test_what_the_workers_did_is_told_and_what_was_done_before_is_no_part_of_it(tmp_path: Path) -> None:
    timings = [
        {"time": 90.0, "seconds": 50.0},
        {"time": 101.0, "seconds": 5.0, "evaluation_seconds": 2.0, "probe_seconds": 1.0},
        {"time": 105.0, "seconds": 1.0},
    ]
    lines = [{"epoch": epoch, "curves": {}, "timing": timing} for epoch, timing in enumerate(timings)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = describe_worker_time([tmp_path, tmp_path / "never begun"], 100.0, 10.0)
    assert told == "of the workers' time: training 60%, evaluation 20%, probes 10%, other 10%"
