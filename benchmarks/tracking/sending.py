"""The thread that sends runs that ended to MLflow, so that MLflow is imported once and trains nothing slower."""

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.executors.base import RunOptions


class Sender:
    """Sends run folders to MLflow, one after the other.

    A failure changes no Result. `say` is told of it once, from the thread; what did not arrive is tried again with the
    next run that ends, and at the end.
    """

    def __init__(self, settings: "RunOptions", say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Names of run folders that MLflow does not have yet, in the order in which they are tried.
        self._unsent: dict[str, None] = {}
        self._failed = False
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._keep_up, name="mlflow", daemon=True)
        if settings.track:
            self._thread.start()

    def send(self, name: str) -> None:
        """This run folder has something new. Returns at once."""
        if self._settings.track:
            self._ended.put(name)

    def close(self, patient: bool = True) -> None:
        """Waits until everything has arrived, as `tracking.waited_for`: if not patient, CLOSE_SECONDS for all runs."""
        if not self._thread.is_alive():
            return
        from benchmarks.tracking.background import waited_for
        from benchmarks.tracking.client import resolve_uri

        self._ended.put(None)
        began, uri = time.monotonic(), resolve_uri(self._settings.tracking_uri)
        if why := waited_for(
            self._thread, uri, self._say, lambda: max(began, self._moved) if patient else began, patient=patient
        ):
            self._fail(why)

    def _keep_up(self) -> None:
        from benchmarks.tracking.client import Busy, prepare_experiment

        try:
            prepare_experiment(self._settings.tracking_uri, self._settings.experiment)
        except Busy:
            # What is sent waits for it.
            pass
        except Exception as error:
            self._fail(str(error))
        while (name := self._ended.get()) is not None:
            self._unsent[name] = None
            self._attempt()
        for _ in range(len(self._unsent)):
            self._attempt()

    def _attempt(self) -> None:
        """Sends what is left, up to the first run that fails, which is tried last the next time."""
        from benchmarks.run_folder.folder import CONFIG, RunFolder
        from benchmarks.tracking.upload import sync_when_free

        for name in list(self._unsent):
            del self._unsent[name]
            folder = RunFolder(self._settings.runs_dir / name)
            try:
                # A config that was refused has no folder.
                if (folder.path / CONFIG).is_file():
                    sync_when_free(folder, self._settings.tracking_uri, self._settings.experiment)
            except Exception as error:
                self._unsent[name] = None
                self._fail(str(error))
                return
            self._moved = time.monotonic()

    def _fail(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            self._say(
                f"{why}; nothing is lost: {self._settings.runs_dir} keeps everything, and the same command sends it"
            )
