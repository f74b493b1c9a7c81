"""Training in this process, one run after the other."""

import warnings
from collections.abc import Callable
from concurrent.futures import Future

from benchmarks.executors.base import (
    Executor,
    Result,
    RunGroup,
    RunOptions,
    split_job,
    train_here,
)
from benchmarks.tracking.background import Uploader
from variants.recipe import UserError


class Inline(Executor):
    """Trains at `submit`, which returns when the job is trained; Ctrl-C leaves it as KeyboardInterrupt.

    So futures are done when one has them. To hear of each run as it ends, submit the jobs one by one.
    """

    def __init__(self, settings: RunOptions, workers: int = 0, say: Callable[[str], None] = warnings.warn) -> None:
        if workers > 1:
            raise UserError(f"--executor inline trains one run at a time, not {workers}; processes trains several")
        self.workers = 1
        self._settings, self._say = settings, say
        self._uploader = Uploader(
            settings.runs_dir, settings.tracking_uri, settings.experiment, track=settings.track, interval=0.0, say=say
        )

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        import torch

        threads = torch.get_num_threads()
        # Another number of threads sums in another order: the same one as in a worker gives the same bits.
        torch.set_num_threads(self._settings.threads)
        try:
            together = split_job(job, self._settings, 1, self._say)
            return [future for part in together for future in self._trained(part)]
        finally:
            torch.set_num_threads(threads)

    def _trained(self, part: RunGroup) -> list[Future[Result]]:
        futures: list[Future[Result]] = [Future() for _ in part.configs]
        for future in futures:
            future.set_running_or_notify_cancel()
        try:
            for future, result in zip(futures, train_here(part, self._settings, self._tell), strict=True):
                future.set_result(result)
        finally:
            # An interrupted run as well: MLflow shows it as killed.
            for config in part.configs:
                self._uploader.notify(config.name)
        return futures

    def _tell(self, name: str, sentence: str) -> None:
        self._say(f"{name}: {sentence}")

    def close(self, cancel: bool = False) -> None:
        self._uploader.close(patient=not cancel)
