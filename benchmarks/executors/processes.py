"""Training in worker processes of this machine.

Each worker is a process with a pipe, and a thread of the parent that feeds it. So it is known which run a worker had
when it died, and only that run is lost; concurrent.futures' own pool breaks as a whole and does not say whose task it
was. The parent decides about everything: workers ignore Ctrl-C, write nothing to the screen, and end with the parent.
"""

import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running

from benchmarks import plugins
from benchmarks.executors.base import (
    STOPPED,
    Executor,
    Result,
    RunGroup,
    RunOptions,
    make_failure,
    split_job,
    train_here,
)
from benchmarks.tracking.background import Uploader
from variants.recipe import UserError

# Seconds that a worker has to mark its run as stopped and to end; chosen, not tuned.
STOP_SECONDS = 30.0
# Workers on a GPU: two took three quarters of the time of one for jobs of ten seeds, and four two thirds.
ON_A_GPU = 2


@dataclass(frozen=True)
class Task:
    """Runs that one worker is to train, as one where there are several, and a future for each."""

    job: RunGroup
    futures: tuple[Future[Result], ...]

    def started(self) -> "Task | None":
        """What is left of it now that it starts: the runs that were not cancelled."""
        left = [
            (config, future)
            for config, future in zip(self.job.configs, self.futures, strict=True)
            if future.set_running_or_notify_cancel()
        ]
        configs, futures = zip(*left, strict=True) if left else ((), ())
        return Task(RunGroup(configs, self.job.notes), futures) if left else None

    def give(self, results: Sequence[Result]) -> None:
        for future, result in zip(self.futures, results, strict=True):
            future.set_result(result)

    def failed(self, error: BaseException | str, seconds: float, settings: RunOptions) -> list[Result]:
        """The same end of each run: by an error, or by the machine, in a sentence."""
        names = [config.name for config in self.job.configs]
        if isinstance(error, str):
            return [Result(name, "KILLED", error, machine=True, seconds=seconds) for name in names]
        return [make_failure(name, error, seconds, settings) for name in names]


class Processes(Executor):
    """Worker processes, which start when there is work for them, and keep data in memory from run to run."""

    def __init__(self, settings: RunOptions, workers: int = 0, say: Callable[[str], None] = warnings.warn) -> None:
        self.workers = workers or count_workers(settings)
        self._settings, self._say = settings, say
        self._uploader = Uploader(
            settings.runs_dir, settings.tracking_uri, settings.experiment, track=settings.track, interval=0.0, say=say
        )
        # Guards all below. It is notified of new tasks and of the end.
        self._change = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._slots: list[threading.Thread] = []
        self._idle = 0
        self._busy: dict[str, Worker] = {}
        self._closed = self._cancelled = False
        if os.name == "posix":
            # Starting it lets Ctrl-C through again in the thread that does so, which is not to be one of ours.
            ensure_running()

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        tasks = [
            Task(part, tuple(Future() for _ in part.configs))
            for part in split_job(job, self._settings, self.workers, self._say)
        ]
        with self._change:
            if self._closed:
                raise RuntimeError("this executor is closed")
            self._tasks += tasks
            missing = min(len(self._tasks) - self._idle, self.workers - len(self._slots))
            for _ in range(missing):
                slot = threading.Thread(target=self._serve, name="executor", daemon=True)
                self._slots.append(slot)
                slot.start()
            self._change.notify_all()
        return [future for task in tasks for future in task.futures]

    def running(self) -> dict[str, int]:
        """The runs that are in training, and the process ids of their workers."""
        with self._change:
            return {name: worker.pid for name, worker in self._busy.items()}

    def close(self, cancel: bool = False) -> None:
        try:
            self._end(cancel)
            for slot in self._slots:
                slot.join()
        except BaseException:
            # Ctrl-C while waiting.
            cancel = True
            self._end(cancel)
            for slot in self._slots:
                slot.join()
            raise
        finally:
            self._uploader.close(patient=not cancel)

    def _end(self, cancel: bool) -> None:
        with self._change:
            self._closed = True
            if cancel and not self._cancelled:
                self._cancelled = True
                for future in (future for task in self._tasks for future in task.futures):
                    future.cancel()
                    # Or who waits for several futures would not hear of it.
                    future.set_running_or_notify_cancel()
                self._tasks.clear()
                for worker in set(self._busy.values()):
                    worker.stop()
            self._change.notify_all()

    def _serve(self) -> None:
        """What the thread of one worker does: has it train, and puts a new one in its place when it died."""
        if hasattr(signal, "pthread_sigmask"):
            # Workers inherit it, so that Ctrl-C does not reach them even while they start.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        worker: Worker | None = None
        while (task := self._next()) is not None:
            if (task := task.started()) is None:
                continue
            names, began, lost = [config.name for config in task.job.configs], time.perf_counter(), False
            try:
                with self._change:
                    if self._cancelled:
                        task.give(task.failed(STOPPED, 0.0, self._settings))
                        continue
                    worker = worker or Worker(self._settings)
                    self._busy |= dict.fromkeys(names, worker)
                results = worker.train(task, self._say)
            except Exception as error:
                # A worker that cannot be started, or a `say` that fails while the worker is in the middle.
                results, lost = task.failed(error, time.perf_counter() - began, self._settings), True
            with self._change:
                for name in names:
                    self._busy.pop(name, None)
                if self._cancelled:
                    results = [replace(each, cause=STOPPED) if each.machine else each for each in results]
            if worker is not None and (lost or any(result.machine for result in results)):
                # What is left of it may be short of memory, or still be training.
                worker.stop()
                worker.end()
                worker = None
            for name in names:
                self._uploader.notify(name)
            task.give(results)
        if worker is not None:
            worker.end()

    def _next(self) -> Task | None:
        with self._change:
            self._idle += 1
            while not self._tasks and not self._closed:
                self._change.wait()
            self._idle -= 1
            return self._tasks.popleft() if self._tasks else None


class Worker:
    """A worker process as its parent sees it. All but `stop` is called by one thread."""

    def __init__(self, settings: RunOptions) -> None:
        context = get_context("spawn")
        self._settings = settings
        self._pipe, theirs = context.Pipe()
        self._stop_by = float("inf")
        self._process = context.Process(
            target=work, args=(theirs, settings, tuple(plugins.FILES)), name="gan-benchmark worker", daemon=True
        )
        try:
            self._process.start()
        finally:
            # The only other end is then the worker's, so that its death is an end of file here.
            theirs.close()
        self.pid: int = self._process.pid  # type: ignore[assignment]

    def train(self, task: Task, say: Callable[[str], None]) -> list[Result]:
        """Has the worker train, and waits for it. say: is told what the worker says meanwhile."""
        began = time.perf_counter()
        with suppress(EOFError, OSError):
            self._pipe.send(task.job)
            while True:
                there = wait([self._pipe, self._process.sentinel], timeout=1.0)
                if self._pipe in there:
                    message = self._pipe.recv()
                    if isinstance(message, list):
                        return message
                    name, sentence = message
                    say(f"{name}: {sentence}")
                elif there or time.monotonic() > self._stop_by:
                    break
        self.end()
        return task.failed(self._death(), time.perf_counter() - began, self._settings)

    def stop(self) -> None:
        """Has the worker stop its run, mark it as killed, and end. Returns at once."""
        self._stop_by = time.monotonic() + STOP_SECONDS
        self._process.terminate()

    def end(self) -> None:
        """Ends the worker, which has nothing to do, and waits for that."""
        self._pipe.close()
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            self._process.join(STOP_SECONDS)
            if not self._process.is_alive():
                return

    def _death(self) -> str:
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its worker process ended in the middle, with exit status {code}"
        by = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"its worker process was killed by {by}" + (
            ", as the system does where memory runs out" if by == "SIGKILL" else ""
        )


def count_workers(settings: RunOptions) -> int:
    """How many workers there are where nobody says: as many as cores, but few on a GPU.

    It gives its time to one process after the other, each of which takes GiB of its memory; a second one trains while
    the first judges and draws.
    """
    if settings.device != "cpu":
        from benchmarks.algorithm.device import resolve_device

        # A device that is not there is told in each Result.
        with suppress(UserError):
            if resolve_device(settings.device).type == "cuda":
                return ON_A_GPU
    return max(1, count_cores() // settings.threads)


def count_cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work(pipe: Connection, settings: RunOptions, files: Sequence[plugins.PluginFile]) -> None:
    """What a worker process does: trains what comes through the pipe, until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent's way to stop a run; `train` then marks it as killed.
    signal.signal(signal.SIGTERM, _interrupt)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # For what reads it when it is imported; torch is told below.
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        problem = _prepare(settings, files)
        while True:
            job = pipe.recv()
            pipe.send(_trained(job, settings, pipe, problem))


def _trained(job: RunGroup, settings: RunOptions, pipe: Connection, problem: Exception | None) -> list[Result]:
    """The Results of a job, whose sentences go through the pipe with the name of their run."""
    if problem is not None:
        return [make_failure(config.name, problem, 0.0, settings) for config in job.configs]
    return train_here(job, settings, lambda name, sentence: pipe.send((name, sentence)))


def _prepare(settings: RunOptions, files: Sequence[plugins.PluginFile]) -> Exception | None:
    """Imports what training needs, and adopts the parent's plugins. Gives what went wrong."""
    try:
        import torch

        torch.set_num_threads(settings.threads)
        plugins.adopt(files)
    except Exception as error:
        return error
    return None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        # As by kill -9: the run reads as killed, and goes on from its last checkpoint.
        os._exit(1)
