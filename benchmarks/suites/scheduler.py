"""Schedules the runs of a suite: prepares and submits jobs, repeats what the machine broke, and reports progress."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cli.progress import SuiteProgress
from benchmarks.config import PENDING
from benchmarks.datasets import load
from benchmarks.datasets.download import MissingData
from benchmarks.executors import Result, RunGroup, RunOptions, open_executor
from benchmarks.run_folder.folder import RunFolder
from benchmarks.statistics.looks import Looks
from benchmarks.statistics.verdicts import JudgedLook
from benchmarks.suites.plan import Plan, PlannedArm
from benchmarks.training.configure import add_classifier
from variants.recipe import UserError

# How often a run is tried whose end the machine caused.
_TRIES = 2

Job = tuple[PlannedArm, RunGroup]


def prepare_jobs(plan: Plan, data_dir: Path | None, *, classifiers: bool) -> tuple[list[Job], dict[str, str]]:
    """Returns a job for each arm, and the arms whose data cannot be had, each with the reason.

    classifiers: trains missing classifiers of such data now, once every arm is checked; jobs without them can be
    counted, not trained. Raises UserError for data that do not exist, and for an arm that cannot be trained on its
    data.
    """
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
            # Those of one learning rate beside each other.
            seeds = sorted(arm.seeds, key=lambda seed: (arm.block_of(seed), seed))
            jobs.append((arm, RunGroup(tuple(arm.config(seed, data_dir) for seed in seeds))))
    if classifiers:
        jobs = [(arm, RunGroup(tuple(add_classifier(config, data_dir) for config in job.configs))) for arm, job in jobs]
    return jobs, missing


def count_runs(jobs: Sequence[Job], runs_dir: Path, retrain: bool) -> tuple[int, int]:
    """Counts the runs that are to be trained, and those that are trained already."""
    configs = [config for _, job in jobs for config in job.configs]
    # Without its classifier no run can be there.
    names = [] if retrain else [config.name for config in configs if config.extractor != PENDING]
    done = sum(RunFolder(runs_dir / name).status()["state"] == "FINISHED" for name in names)
    return len(configs) - done, done


def estimate_seconds(plan: Plan, tuned: Mapping[str, Any]) -> dict[str, float]:
    """Estimates one core's seconds for a run of each arm: from its tuning, else from related arms; 0 where unknown."""
    known = {name: float(seconds) for name, seconds in tuned.get("seconds_per_run", {}).items()}
    usual = median(known.values()) if known else 0.0
    return {arm.name: known.get(arm.name, known.get(arm.arm.lr_from, usual)) for arm in plan.arms}


def run_jobs(
    jobs: Sequence[RunGroup],
    executor: str,
    options: RunOptions,
    live: SuiteProgress,
    *,
    workers: int = 0,
    address: str = "",
    on_end: Callable[[int, Result], None] = lambda place, result: None,
) -> list[Result]:
    """Trains all jobs in order, and returns every run's Result, in the order in which they ended.

    Finished runs are found without the executor. A failed run stops no other; one whose end the machine caused is tried
    once more, after the others. on_end: is called with each run's result and the place of its job. After Ctrl-C the
    same command resumes.
    """
    results: list[Result] = []

    def end(place: int, result: Result) -> None:
        results.append(result)
        live.ended(result)
        on_end(place, result)

    waiting: list[tuple[int, int]] = []
    for place, job in enumerate(jobs):
        for which, config in enumerate(job.configs):
            state = RunFolder(options.runs_dir / config.name).status()["state"]
            if state == "FINISHED" and not options.retrain:
                end(place, Result(config.name, "FINISHED", found=True))
            else:
                waiting.append((place, which))
    if not waiting:
        return results
    with open_executor(executor, options, workers, address, say=live.hear) as opened:
        live.workers = opened.workers
        pending: dict[Future[Result], tuple[int, int, int]] = {}
        parts = [(place, [which for _, which in own]) for place, own in groupby(waiting, key=lambda each: each[0])]
        for place, left in parts:
            job = RunGroup(tuple(jobs[place].configs[which] for which in left), jobs[place].notes, among=len(parts))
            for which, future in zip(left, opened.submit(job), strict=True):
                pending[future] = (place, which, 1)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                place, which, tried = pending.pop(future)
                result = future.result()
                if result.machine and tried < _TRIES:
                    live.say(f"{result.name} did not end, and is tried once more: {result.cause}")
                    (again,) = opened.submit(RunGroup((jobs[place].configs[which],), jobs[place].notes))
                    pending[again] = (place, which, tried + 1)
                    continue
                if result.state != "FINISHED":
                    live.say(f"{result.name} {'failed' if result.state == 'FAILED' else 'did not end'}: {result.cause}")
                end(place, result)
    return results


@dataclass
class Trainer:
    """Trains the runs of plans, one plan after the other, and keeps their results."""

    options: RunOptions
    live: SuiteProgress
    executor: str = "processes"
    workers: int = 0
    address: str = ""
    data_dir: Path | None = None
    results: dict[str, Result] = field(default_factory=dict)
    """By the name of the run folder."""

    def train(self, plan: Plan, title: str = "") -> None:
        """Trains what is missing of a plan. Raises UserError if a run does not end."""
        jobs, _ = prepare_jobs(plan, self.data_dir, classifiers=True)
        todo, done = count_runs(jobs, self.options.runs_dir, self.options.retrain)
        self.live.restart(title or plan.preset.name, todo + done)
        results = run_jobs(
            [job for _, job in jobs],
            self.executor,
            # Runs of an earlier look are trained again only once.
            replace(self.options, retrain=self.options.retrain and not self.results),
            self.live,
            workers=self.workers,
            address=self.address,
            on_end=QuestionProgress(plan, jobs, self.options, self.live).on_end,
        )
        for result in results:
            # A run that an earlier call trained was not found by this command.
            if not (result.found and result.name in self.results):
                self.results[result.name] = result

    @property
    def trained(self) -> list[Path]:
        """Run folders that were trained, and not found."""
        return [self.options.runs_dir / result.name for result in self.results.values() if not result.found]


def describe_look(look: JudgedLook, looks: Looks) -> str:
    """Describes in one line what a look decided."""
    return (
        f"look {look.number} of {len(looks.seeds)}, {look.seeds} seeds an arm: {len(look.settled)} settled, "
        f"{len(look.given_up)} given up, {len(look.open)} open"
    )


def require_all_ended(results: Sequence[Result]) -> None:
    """Raises UserError where a run has not ended: nothing may be decided without it."""
    if left := [result for result in results if result.state == "KILLED"]:
        raise UserError(
            f"{len(left)} of {len(results)} runs did not end, such as {left[0].name} ({left[0].cause}); the same "
            "command resumes them"
        )


def describe_worker_time(folders: Sequence[Path], began: float, available: float) -> str:
    """Describes how the workers' time since `began` was used, by their journals; available: seconds of all workers."""
    timings = [line.get("timing", {}) for path in folders for line in RunFolder(path).lines()]
    timings = [timing for timing in timings if timing.get("time", 0.0) >= began]
    parts = {"training": "seconds", "evaluation": "evaluation_seconds", "probes": "probe_seconds"}
    shares = {part: sum(timing.get(name, 0.0) for timing in timings) / available for part, name in parts.items()}
    shares["other"] = 1 - sum(shares.values())
    return "of the workers' time: " + ", ".join(f"{part} {share:.0%}" for part, share in shares.items())


class QuestionProgress:
    """Counts the runs of each arm, and records a question in MLflow as soon as all of its runs are done."""

    def __init__(self, plan: Plan, jobs: Sequence[Job], options: RunOptions, live: SuiteProgress) -> None:
        self.plan, self.options, self.live = plan, options, live
        self.arms = [arm for arm, _ in jobs]
        self.left = Counter()
        for arm, job in jobs:
            self.left[arm.name] += len(job.configs)
        self.killed = dict.fromkeys(self.left, 0)
        self.runs: dict[str, list[str]] = {arm.name: [] for arm in self.arms}

    def on_end(self, place: int, result: Result) -> None:
        """Counts a run of the job at this place."""
        arm = self.arms[place]
        self.left[arm.name] -= 1
        self.killed[arm.name] += result.state == "KILLED"
        self.runs[arm.name].append(result.name)
        for name in arm.questions:
            arms = [other.name for other in self.plan.arms_for(name)]
            if not any(self.left.get(other, 0) for other in arms):
                killed = sum(self.killed.get(other, 0) for other in arms)
                self.live.say(f"all runs of {name} are done" + (f", except {killed} that did not end" * bool(killed)))
                if self.options.track:
                    self._record(name)

    def _record(self, name: str) -> None:
        from benchmarks.suites.mlflow_questions import record_question

        question = next(question for question in self.plan.questions if question.name == name)
        try:
            where = (self.options.tracking_uri, self.options.experiment)
            record_question(self.plan, question, self.runs, self.options.runs_dir, *where)
        except UserError as refused:
            self.live.say(f"{refused}; the question {name} is not in MLflow yet: run the same command again to send it")
