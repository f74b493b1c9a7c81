"""Trains in this process, one run after the other."""

import warnings
from collections.abc import Callable
from concurrent.futures import Future

from benchmarks.executors.base import Executor, Result, RunGroup, Task, make_uploader, split_job, train_job
from benchmarks.training.options import RunOptions
from variants.recipe import UserError


class Inline(Executor):
    """Trains at `submit`, which returns when the job is trained; Ctrl-C leaves it as KeyboardInterrupt.

    Its futures are done when `submit` returns. To hear of each run as it ends, submit the jobs one by one.
    """

    def __init__(self, options: RunOptions, workers: int = 0, say: Callable[[str], None] = warnings.warn) -> None:
        if workers > 1:
            raise UserError(f"--executor inline trains one run at a time, not {workers}; processes trains several")
        self.workers = 1
        self._options, self._say = options, say
        self._uploader = make_uploader(options, say)

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        import torch

        threads = torch.get_num_threads()
        # Another number of threads sums in another order: the same one as in a worker gives the same bits.
        torch.set_num_threads(self._options.threads)
        try:
            parts = split_job(job, self._options, 1, self._say)
            return [future for part in parts for future in self._train(Task.of(part))]
        finally:
            torch.set_num_threads(threads)

    def _train(self, task: Task) -> tuple[Future[Result], ...]:
        task.start()
        try:
            task.finish(train_job(task.job, self._options, lambda name, text: self._say(f"{name}: {text}")))
        finally:
            # An interrupted run as well: MLflow shows it as killed.
            for name in task.job.names:
                self._uploader.notify(name)
        return task.futures

    def close(self, cancel: bool = False) -> None:
        self._uploader.close(patient=not cancel)
