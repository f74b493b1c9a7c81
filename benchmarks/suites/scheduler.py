"""Many runs at once: submitted, watched, and done again where the machine was to blame."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.config import PENDING
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.suites.plan import Plan, PlannedArm


from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import groupby

from benchmarks.cli.progress import SuiteProgress
from benchmarks.executors import Result, RunGroup, RunOptions, open_executor
from benchmarks.run_folder.folder import RunFolder

TRIES = 2


def run_jobs(
    jobs: Sequence[RunGroup],
    executor: str,
    settings: RunOptions,
    live: SuiteProgress,
    *,
    workers: int = 0,
    address: str = "",
    ended: Callable[[int, Result], None] = lambda place, result: None,
) -> list[Result]:
    """Trains all jobs, in their order, and gives every run's Result, in the order in which they ended.

    What is trained already is found without being handed to the executor. A failed run stops no other; one whose cause
    was the machine is tried once more, after the others. ended: is told of each run with the place of its job. Ctrl-C
    leaves runs that the same command goes on with.
    """
    results: list[Result] = []
    waiting: list[tuple[int, int]] = []
    for place, job in enumerate(jobs):
        for which, config in enumerate(job.configs):
            state = RunFolder(settings.runs_dir / config.name).status()["state"]
            if state == "FINISHED" and not settings.retrain:
                results.append(Result(config.name, "FINISHED", found=True))
                live.ended(results[-1])
                ended(place, results[-1])
            else:
                waiting.append((place, which))
    if not waiting:
        return results
    with open_executor(executor, settings, workers, address, say=live.hear) as opened:
        live.workers = opened.workers
        pending: dict[Future[Result], tuple[int, int, int]] = {}
        for place, places in groupby(waiting, key=lambda each: each[0]):
            left = [which for _, which in places]
            job = RunGroup(tuple(jobs[place].configs[which] for which in left), jobs[place].notes)
            for which, future in zip(left, opened.submit(job), strict=True):
                pending[future] = (place, which, 1)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                place, which, tried = pending.pop(future)
                result = future.result()
                if result.machine and tried < TRIES:
                    live.say(f"{result.name} did not end, and is tried once more: {result.cause}")
                    (again,) = opened.submit(RunGroup((jobs[place].configs[which],), jobs[place].notes))
                    pending[again] = (place, which, tried + 1)
                    continue
                if result.state != "FINISHED":
                    live.say(f"{result.name} {'failed' if result.state == 'FAILED' else 'did not end'}: {result.cause}")
                results.append(result)
                live.ended(result)
                ended(place, result)
    return results


def all_ended(results: Sequence[Result]) -> None:
    """Raises UserError where a run has not ended, since nothing may be decided without it."""
    if left := [result for result in results if result.state == "KILLED"]:
        raise UserError(
            f"{len(left)} of {len(results)} runs did not end, such as {left[0].name} ({left[0].cause}); the same "
            "command goes on with them"
        )


def prepared(
    plan: "Plan", data_dir: Path | None, *, judge: bool
) -> "tuple[list[tuple[PlannedArm, RunGroup]], dict[str, str]]":
    """A job for each arm, and the arms whose data are not to be had, with the reason.

    judge: whether classifiers that are still to judge such data are trained now, once every arm is checked; jobs
    without them can be counted, not trained. Raises UserError for data that do not exist, and for an arm that cannot be
    trained on data that are there.
    """
    from benchmarks.datasets import load
    from benchmarks.datasets.images import MissingData
    from benchmarks.executors import RunGroup
    from benchmarks.training.configure import add_classifier

    jobs, missing, absent = [], {}, {}
    for arm in plan.arms:
        name = arm.dataset.name
        if name not in absent:
            try:
                load(arm.dataset, data_dir, 0)
                absent[name] = ""
            except MissingData as refused:
                absent[name] = str(refused)
        if absent[name]:
            missing[arm.name] = absent[name]
        else:
            jobs.append((arm, RunGroup(tuple(arm.config(seed, data_dir) for seed in arm.seeds))))
    if judge:
        jobs = [(arm, RunGroup(tuple(add_classifier(config, data_dir) for config in job.configs))) for arm, job in jobs]
    return jobs, missing


def shared_out(folders: Sequence[Path], began: float, available: float) -> str:
    """What the workers' time since then went into, as their journals tell; available: seconds of all workers."""
    from benchmarks.run_folder.folder import RunFolder

    timings = [line.get("timing", {}) for path in folders for line in RunFolder(path).lines()]
    timings = [timing for timing in timings if timing.get("time", 0.0) >= began]
    parts = {"training": "seconds", "judging": "evaluation_seconds", "probes": "probe_seconds"}
    shares = {part: sum(timing.get(name, 0.0) for timing in timings) / available for part, name in parts.items()}
    shares["all else"] = 1 - sum(shares.values())
    return "of the workers' time: " + ", ".join(f"{part} {share:.0%}" for part, share in shares.items())


def counted(jobs: "list[tuple[PlannedArm, RunGroup]]", runs_dir: Path, retrain: bool) -> tuple[int, int]:
    """How many runs are to be trained, and how many are already."""
    from benchmarks.run_folder.folder import RunFolder

    configs = [config for _, job in jobs for config in job.configs]
    # Without its classifier no run can be there.
    names = [] if retrain else [config.name for config in configs if config.extractor != PENDING]
    done = sum(RunFolder(runs_dir / name).status()["state"] == "FINISHED" for name in names)
    return len(configs) - done, done


def expectation(plan: "Plan", tuned: dict[str, Any]) -> dict[str, float]:
    """Seconds of one core that a run of each arm takes, from its tuning or that of its likes; 0 where nothing tells."""
    known = {name: float(seconds) for name, seconds in tuned.get("seconds_per_run", {}).items()}
    usual = median(known.values()) if known else 0.0
    return {arm.name: known.get(arm.name, known.get(arm.arm.lr_from, usual)) for arm in plan.arms}


class Progress:
    """Which arms are done, so that a question goes to MLflow as soon as it is whole."""

    def __init__(
        self, plan: "Plan", jobs: "list[tuple[PlannedArm, RunGroup]]", settings: Any, live: "SuiteProgress"
    ) -> None:
        self.plan, self.settings, self.live = plan, settings, live
        self.arms = [arm for arm, _ in jobs]
        self.left = {arm.name: len(job.configs) for arm, job in jobs}
        self.killed = dict.fromkeys(self.left, 0)
        self.runs: dict[str, list[str]] = {arm.name: [] for arm in self.arms}

    def ended(self, place: int, result: "Result") -> None:
        arm = self.arms[place]
        self.left[arm.name] -= 1
        self.killed[arm.name] += result.state == "KILLED"
        self.runs[arm.name].append(result.name)
        for name in arm.questions:
            if not any(self.left.get(other.name, 0) for other in self.plan.arms_for(name)):
                left = sum(self.killed.get(other.name, 0) for other in self.plan.arms_for(name))
                self.live.say(f"all runs of {name} are done" + (f", but for {left} that did not end" if left else ""))
                if self.settings.track:
                    self.tell(name)

    def tell(self, name: str) -> None:
        from benchmarks.suites.mlflow_questions import record

        question = next(question for question in self.plan.questions if question.name == name)
        try:
            where = (self.settings.tracking_uri, self.settings.experiment)
            record(self.plan, question, self.runs, self.settings.runs_dir, *where)
        except UserError as refused:
            self.live.say(f"{refused}; the question {name} is not in MLflow yet: the same command sends it")
