"""Defines the contract of executors and what they share: tasks, their queue, training as Results. Needs no torch."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from benchmarks.config import RunConfig
from benchmarks.training.options import RunOptions
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.tracking.background import Uploader
    from benchmarks.training.listener import ProgressListener

STOPPED = "it was stopped before its end; the same command resumes it"
# Seconds that a worker has to mark its run as stopped and to end; chosen, not tuned.
STOP_SECONDS = 30.0


def _apart_from_seed_and_rates(config: RunConfig) -> RunConfig:
    """Returns a config without what may differ in a job; points of the plane are drawn from the seed."""
    recipe = config.recipe.with_({"generator_lr": 1.0, "discriminator_lr": 1.0})
    return replace(config, recipe=recipe, seed=0, checksum="")


@dataclass(frozen=True)
class RunGroup:
    """Holds the configs of a job, which may be trained together: they differ in seed and learning rates only."""

    configs: tuple[RunConfig, ...]
    # For readers of these runs, such as that other data took the place of those asked for.
    notes: tuple[str, ...] = ()
    # Number of jobs that are submitted together, this one included.
    among: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "configs", tuple(self.configs))
        object.__setattr__(self, "notes", tuple(self.notes))
        if len({_apart_from_seed_and_rates(config) for config in self.configs}) > 1:
            raise ValueError("the configs of a job differ in seed and learning rates only")
        if len({config.seed for config in self.configs}) < len(self.configs):
            raise ValueError("a seed is one run, and a job has it once")

    @property
    def names(self) -> list[str]:
        """Returns the names of the run folders."""
        return [config.name for config in self.configs]


@dataclass(frozen=True)
class Result:
    """Tells how the run of one seed ended."""

    # Of its run folder.
    name: str
    # FINISHED; FAILED, by what training itself did; or KILLED, by anything else, so that the run has not ended.
    state: str
    # Of the latter two, one sentence.
    cause: str = ""
    # Whether a second try may help: a worker was killed, a node lost, memory or disk full.
    machine: bool = False
    # Wall-clock of the training; 0 where the run was found already trained.
    seconds: float = 0.0
    found: bool = False


class Executor(Protocol):
    """Trains jobs."""

    # How many runs at once.
    workers: int

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        """Has a job trained, and returns a future for each of its configs, in their order.

        No future raises the error of a run: it is in the Result. Runs start in the order of submission. A future whose
        run has not started can be cancelled.
        """
        ...

    def close(self, cancel: bool = False) -> None:
        """Waits until everything is trained and has arrived in MLflow; for a server, a bounded time.

        With cancel=True cancels what has not started, and stops what is in training so that it can resume from its last
        checkpoint; its Result is KILLED with the cause STOPPED.
        """
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(cancel=kind is not None)


# Tasks and their queue


@dataclass(frozen=True)
class Task:
    """Holds the runs that one worker trains, as one where there are several, and a future for each."""

    job: RunGroup
    futures: tuple[Future[Result], ...]

    @classmethod
    def of(cls, job: RunGroup) -> Self:
        return cls(job, tuple(Future() for _ in job.configs))

    def start(self) -> Self | None:
        """Marks the runs as started, and returns the task without those that were cancelled; None if none is left."""
        left = [
            (config, future)
            for config, future in zip(self.job.configs, self.futures, strict=True)
            if future.running() or future.set_running_or_notify_cancel()
        ]
        if not left:
            return None
        configs, futures = zip(*left, strict=True)
        return replace(self, job=RunGroup(configs, self.job.notes), futures=futures)

    def cancel(self) -> None:
        for future in self.futures:
            future.cancel()
            # Or nobody who waits for several futures would hear of it.
            future.set_running_or_notify_cancel()

    def finish(self, results: Sequence[Result]) -> None:
        for future, result in zip(self.futures, results, strict=True):
            future.set_result(result)

    def kill(self, cause: str, seconds: float = 0.0) -> list[Result]:
        """Returns the same Result for each run: the machine ended it."""
        return [Result(name, "KILLED", cause, machine=True, seconds=seconds) for name in self.job.names]


class TaskQueue:
    """Holds tasks that wait for the threads of an executor. `change` guards it, and is notified of each change."""

    def __init__(self) -> None:
        self.change = threading.Condition()
        self.waiting: deque[Task] = deque()
        self.closed = self.cancelled = False

    def add(self, tasks: Sequence[Task]) -> list[Future[Result]]:
        """Appends tasks, and returns the futures of their runs."""
        with self.change:
            if self.closed:
                raise RuntimeError("this executor is closed")
            self.waiting += tasks
            self.change.notify_all()
        return [future for task in tasks for future in task.futures]

    def close(self, cancel: bool, threads: Sequence[threading.Thread], stop: Callable[[], None] = lambda: None) -> None:
        """Takes no more tasks, and waits for the threads; Ctrl-C meanwhile cancels, as does `cancel`.

        stop: is called once when tasks are cancelled, with `change` held, to stop those in training.
        """
        try:
            self._end(cancel, stop)
            for thread in threads:
                thread.join()
        except BaseException:
            self._end(True, stop)
            for thread in threads:
                thread.join()
            raise

    def _end(self, cancel: bool, stop: Callable[[], None]) -> None:
        with self.change:
            self.closed = True
            if cancel and not self.cancelled:
                self.cancelled = True
                for task in self.waiting:
                    task.cancel()
                self.waiting.clear()
                stop()
            self.change.notify_all()


def split_job(job: RunGroup, options: RunOptions, workers: int, say: Callable[[str], None]) -> list[RunGroup]:
    """Splits a job into parts, each of runs that one worker trains as one; into single runs where they are not to be.

    say: is told why seeds that were asked to be trained as one are not.
    """
    size = 1
    if len(job.configs) > 1 and options.stack != "off":
        from benchmarks.algorithm.device import resolve_device
        from variants import load_variant

        config = job.configs[0]
        try:
            variant, device = load_variant(config.variant), resolve_device(options.device).type
        except UserError:
            # Each run says so in its Result.
            return [RunGroup((each,), job.notes, job.among) for each in job.configs]
        if variant.not_stackable_because and options.stack == "on":
            say(f"seeds of {config.variant} are trained one by one: {variant.not_stackable_because}")
        if not variant.not_stackable_because and (options.stack == "on" or device == "cuda"):
            # No worker stays idle; where there are jobs enough for all of them, more seeds as one are faster.
            share = 1 if device == "cuda" else max(1, -(-workers // job.among))
            size = -(-len(job.configs) // share)
    return [RunGroup(job.configs[at : at + size], job.notes, job.among) for at in range(0, len(job.configs), size)]


def make_uploader(options: RunOptions, say: Callable[[str], None]) -> "Uploader":
    """Starts the thread that uploads the runs of an executor as they end."""
    from benchmarks.tracking.background import Uploader

    where = options.runs_dir, options.tracking_uri, options.experiment
    return Uploader(*where, track=options.track, interval=0.0, say=say)


# Training, and its Results


def train_job(
    job: RunGroup, options: RunOptions, say: Callable[[str, str], None], *, track: bool = False
) -> list[Result]:
    """Trains the runs of a job in this process, several as one, and returns their Results. Raises KeyboardInterrupt.

    say: is called with the name of a run and a sentence. seconds of a Result: its share.
    """
    from benchmarks.training.lockstep import train_group

    listeners = [forward_messages(partial(say, name)) for name in job.names]
    began = time.perf_counter()
    try:
        ended = train_group(job.configs, replace(options, track=track), job.notes, listeners)
    # A plugin may call sys.exit, which must not end the other runs.
    except (Exception, SystemExit) as error:
        ended = [error] * len(job.configs)
    seconds = (time.perf_counter() - began) / len(job.configs)
    return [
        make_failure(name, each, seconds, options)
        if isinstance(each, BaseException)
        else Result(name, "FINISHED", seconds=0.0 if each.found else seconds, found=each.found)
        for name, each in zip(job.names, ended, strict=True)
    ]


def make_failure(name: str, error: BaseException, seconds: float, options: RunOptions) -> Result:
    """Returns the Result of a run that an error ended: one sentence, without secrets, and whether the machine did."""
    from benchmarks.tracking.client import redact_uri, resolve_uri
    from benchmarks.training.loop import Diverged, describe_error

    uri = resolve_uri(options.tracking_uri)
    state = "FAILED" if isinstance(error, Diverged) else "KILLED"
    cause = describe_error(error).replace(uri, redact_uri(uri))[:500]
    return Result(name, state, cause, machine=is_machine_fault(error), seconds=seconds)


def is_machine_fault(error: BaseException | None) -> bool:
    """Tells whether an error, or its cause, is a failure of memory, disk or network."""
    while error is not None:
        # torch raises a RuntimeError on a CPU, and a class derived from it on a GPU.
        text = str(error).lower() if isinstance(error, RuntimeError) else ""
        if isinstance(error, MemoryError | OSError) or "out of memory" in text or "can't allocate memory" in text:
            return True
        error = error.__cause__
    return False


def forward_messages(say: Callable[[str], None]) -> "ProgressListener":
    """Makes a listener that passes on messages for the person, and nothing else."""
    from benchmarks.training.listener import ProgressListener

    listener = ProgressListener()
    listener.say = say  # type: ignore[method-assign]
    return listener
