"""Training in this process, one run after the other."""

import warnings
from collections.abc import Callable
from concurrent.futures import Future

from benchmarks.executors.base import Executor, Job, Result, Settings, forwarding, train_here
from benchmarks.executors.sending import Sender
from variants.recipe import Refused


class Inline(Executor):
    """Trains at `submit`, which returns when the job is trained; Ctrl-C leaves it as KeyboardInterrupt.

    So futures are done when one has them. To hear of each run as it ends, submit the jobs one by one.
    """

    def __init__(self, settings: Settings, workers: int = 0, say: Callable[[str], None] = warnings.warn) -> None:
        if workers > 1:
            raise Refused(f"--executor inline trains one run at a time, not {workers}; processes trains several")
        self.workers = 1
        self._settings, self._say = settings, say
        self._sender = Sender(settings, say)

    def submit(self, job: Job) -> list[Future[Result]]:
        import torch

        threads = torch.get_num_threads()
        # Another number of threads sums in another order: the same one as in a worker gives the same bits.
        torch.set_num_threads(self._settings.threads)
        try:
            return [self._trained(config.name, job, index) for index, config in enumerate(job.configs)]
        finally:
            torch.set_num_threads(threads)

    def _trained(self, name: str, job: Job, index: int) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        watcher = forwarding(lambda sentence: self._say(f"{name}: {sentence}"))
        try:
            future.set_result(train_here(job.configs[index], self._settings, notes=job.notes, watcher=watcher))
        finally:
            # An interrupted run as well: MLflow shows it as killed.
            self._sender.send(name)
        return future

    def close(self, cancel: bool = False) -> None:
        self._sender.close(patient=not cancel)
