"""Trains in worker processes of this machine.

Each worker is a process with a pipe, and a thread of the parent that feeds it. When a worker dies, the parent knows its
run, and only that run is lost; the pool of concurrent.futures breaks as a whole and does not say whose task it was. The
parent decides about everything: workers ignore Ctrl-C, write nothing to the screen, and end with the parent.
"""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running

from benchmarks import plugins
from benchmarks.executors.base import (
    STOP_SECONDS,
    STOPPED,
    Executor,
    Result,
    RunGroup,
    Task,
    TaskQueue,
    make_failure,
    make_uploader,
    split_job,
    train_job,
)
from benchmarks.training.options import RunOptions
from variants.recipe import UserError

# Workers on a GPU: two took three quarters of the time of one for jobs of ten seeds, and four two thirds.
ON_A_GPU = 2


class Processes(Executor):
    """Trains in worker processes, which start when there is work for them, and keep data in memory from run to run."""

    def __init__(self, options: RunOptions, workers: int = 0, say: Callable[[str], None] = warnings.warn) -> None:
        self.workers = workers or count_workers(options)
        self._options, self._say = options, say
        self._uploader = make_uploader(options, say)
        self._queue = TaskQueue()
        # Guarded by the queue's `change`: the threads of the workers, how many of them wait, and who trains what.
        self._slots: list[threading.Thread] = []
        self._idle = 0
        self._busy: dict[str, Worker] = {}
        if os.name == "posix":
            # Starting it lets Ctrl-C through again in the thread that does so, which is not to be one of ours.
            ensure_running()

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        tasks = [Task.of(part) for part in split_job(job, self._options, self.workers, self._say)]
        with self._queue.change:
            futures = self._queue.add(tasks)
            for _ in range(min(len(self._queue.waiting) - self._idle, self.workers - len(self._slots))):
                slot = threading.Thread(target=self._serve, name="executor", daemon=True)
                self._slots.append(slot)
                slot.start()
        return futures

    def running(self) -> dict[str, int]:
        """Returns the runs in training, and the process ids of their workers."""
        with self._queue.change:
            return {name: worker.pid for name, worker in self._busy.items()}

    def close(self, cancel: bool = False) -> None:
        try:
            self._queue.close(cancel, self._slots, stop=self._stop)
        finally:
            self._uploader.close(patient=not self._queue.cancelled)

    def _stop(self) -> None:
        for worker in set(self._busy.values()):
            worker.stop()

    def _serve(self) -> None:
        """Runs the thread of one worker: has it train, and puts a new one in its place when it died."""
        if hasattr(signal, "pthread_sigmask"):
            # Workers inherit it, so that Ctrl-C does not reach them even while they start.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        worker: Worker | None = None
        while (task := self._next()) is not None:
            if (task := task.start()) is None:
                continue
            names, began, lost = task.job.names, time.perf_counter(), False
            try:
                with self._queue.change:
                    if self._queue.cancelled:
                        task.finish(task.kill(STOPPED))
                        continue
                    worker = worker or Worker(self._options)
                    self._busy |= dict.fromkeys(names, worker)
                results = worker.train(task, self._say)
            except Exception as error:
                # A worker that cannot be started, or a `say` that fails while the worker is in the middle.
                seconds, lost = time.perf_counter() - began, True
                results = [make_failure(name, error, seconds, self._options) for name in names]
            with self._queue.change:
                for name in names:
                    self._busy.pop(name, None)
                if self._queue.cancelled:
                    results = [replace(each, cause=STOPPED) if each.machine else each for each in results]
            if worker is not None and (lost or any(result.machine for result in results)):
                # What is left of it may be short of memory, or still be training.
                worker.stop()
                worker.end()
                worker = None
            for name in names:
                self._uploader.notify(name)
            task.finish(results)
        if worker is not None:
            worker.end()

    def _next(self) -> Task | None:
        with self._queue.change:
            self._idle += 1
            while not self._queue.waiting and not self._queue.closed:
                self._queue.change.wait()
            self._idle -= 1
            return self._queue.waiting.popleft() if self._queue.waiting else None


class Worker:
    """Represents a worker process to its parent. One thread calls everything but `stop`."""

    def __init__(self, options: RunOptions) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._stop_by = float("inf")
        self._process = context.Process(
            target=run_worker, args=(theirs, options, tuple(plugins.FILES)), name="gan-benchmark worker", daemon=True
        )
        try:
            self._process.start()
        finally:
            # The only other end is then the worker's, so that its death is an end of file here.
            theirs.close()
        self.pid: int = self._process.pid  # type: ignore[assignment]

    def train(self, task: Task, say: Callable[[str], None]) -> list[Result]:
        """Has the worker train, waits for it, and passes its messages on to `say`."""
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
        return task.kill(self._describe_death(), time.perf_counter() - began)

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

    def _describe_death(self) -> str:
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its worker process ended in the middle, with exit status {code}"
        by = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"its worker process was killed by {by}" + (
            ", as the system does where memory runs out" if by == "SIGKILL" else ""
        )


def count_workers(options: RunOptions) -> int:
    """Returns the default number of workers: as many as there are cores for, but few on a GPU.

    A GPU serves one process after the other, each of which takes GiB of its memory; a second process trains while the
    first evaluates and draws.
    """
    if options.device != "cpu":
        from benchmarks.algorithm.device import resolve_device

        # Each Result says so if the device is missing.
        with suppress(UserError):
            if resolve_device(options.device).type == "cuda":
                return ON_A_GPU
    return max(1, count_cores() // options.threads)


def count_cores() -> int:
    """Returns how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_worker(pipe: Connection, options: RunOptions, files: Sequence[plugins.PluginFile]) -> None:
    """Trains, in a worker process, the jobs that come through the pipe, until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent's way to stop a run; `train` then marks it as killed.
    signal.signal(signal.SIGTERM, _interrupt)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # For libraries that read it when they are imported; torch is told below.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        problem = _prepare(options, files)
        while True:
            job = pipe.recv()
            if problem is None:
                pipe.send(train_job(job, options, lambda name, sentence: pipe.send((name, sentence))))
            else:
                pipe.send([make_failure(name, problem, 0.0, options) for name in job.names])


def _prepare(options: RunOptions, files: Sequence[plugins.PluginFile]) -> Exception | None:
    """Imports what training needs, and adopts the parent's plugins; returns the error where that fails."""
    try:
        import torch

        torch.set_num_threads(options.threads)
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
        # As by kill -9: the run reads as killed, and resumes from its last checkpoint.
        os._exit(1)
