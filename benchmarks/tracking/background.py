"""Sends run folders to MLflow from a background thread. Imports neither torch nor MLflow before it sends."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.tracking.client import (
    CLOSE_SECONDS,
    SYNC_COMMAND,
    Busy,
    ServerUnreachable,
    is_local,
    prepare_experiment,
    redact_uri,
    resolve_uri,
)

# Chosen, not tuned: seconds between two uploads while a run trains, and until a slow local store is mentioned.
UPLOAD_SECONDS = 10.0
TELL_SECONDS = 5.0
# Seconds after each of the last attempts that failed.
_LAST_PAUSES = (1.0, 1.0, 0.0)


class Uploader:
    """Uploads run folders from a thread of its own: one run while it trains, or the runs of a suite as they end.

    Training never waits for MLflow, and no result depends on it: what does not arrive stays in the run folder, and is
    sent with the next upload that succeeds. Calls `say` from that thread, once for a failure and all that follow it
    until everything has arrived.
    """

    def __init__(
        self,
        runs_dir: Path | str,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        *,
        track: bool = True,
        interval: float = UPLOAD_SECONDS,
        say: Callable[[str], None] = print,
    ) -> None:
        """Starts the thread, unless `track` is false: then nothing is ever sent."""
        self.uri, self._experiment, self._runs_dir = resolve_uri(tracking_uri), experiment, runs_dir
        self._interval, self._say = interval, say
        # Names of run folders with something new, the next one first. Each access is a single, atomic operation.
        self._due: dict[str, None] = {}
        self._failing = False
        self._progressed = time.monotonic()
        self._news, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._upload, name="mlflow", daemon=True)
        self._track = track
        if track:
            self._thread.start()

    def __enter__(self) -> "Uploader":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After Ctrl-C nobody is kept waiting for a slow store.
        self.close(patient=kind is not KeyboardInterrupt)

    def notify(self, name: str) -> None:
        """Marks a run folder, by name, as having something new. Returns at once."""
        if self._track:
            self._due[name] = None
            self._news.set()

    def close(self, seconds: float = CLOSE_SECONDS, patient: bool = True) -> bool:
        """Sends what is left, and returns whether all of it arrived.

        Gives up after so many seconds without progress; if not patient, after so many seconds. A local store is not
        down, only slow: if patient, waits for it without limit, says so, and lets Ctrl-C leave the rest to `sync`.
        """
        self._closing.set()
        self._news.set()
        began, told, unlimited = time.monotonic(), False, patient and is_local(self.uri)
        where = f"MLflow at {redact_uri(self.uri)}"
        try:
            while self._thread.is_alive():
                self._thread.join(0.1)
                waited = time.monotonic() - (max(began, self._progressed) if patient else began)
                if not unlimited and waited > seconds and self._thread.is_alive():
                    self._tell_failure(f"{where} did not take everything within {seconds:.0f} s")
                    return False
                if unlimited and not told and waited > TELL_SECONDS and self._thread.is_alive():
                    told = True
                    self._say(f"waiting until {where} has everything; Ctrl-C leaves that to {SYNC_COMMAND}")
        except KeyboardInterrupt:
            if not told:
                raise
            self._tell_failure(f"{where} was not waited for")
            return False
        return not self._due

    def _upload(self) -> None:
        try:
            # MLflow takes seconds to import; and a server that is down is told before the first run ends.
            prepare_experiment(self.uri, self._experiment)
        except Busy:
            # Every upload waits for it.
            pass
        except Exception as error:
            self._tell_failure(str(error))
        while not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            if not self._closing.is_set():
                self._upload_due()
            self._closing.wait(self._interval)
        for pause in _LAST_PAUSES:
            if self._upload_due():
                return
            time.sleep(pause)

    def _upload_due(self) -> bool:
        """Uploads every folder that is due, and returns whether all of them arrived."""
        from benchmarks.run_folder.folder import CONFIG, RunFolder
        from benchmarks.tracking.upload import sync_when_free

        failed = False
        for name in list(self._due):
            # Before it is read: what is written meanwhile makes it due again.
            del self._due[name]
            folder = RunFolder(Path(self._runs_dir) / name)
            try:
                # A config that was refused has no folder.
                if (folder.path / CONFIG).is_file():
                    sync_when_free(folder, self.uri, self._experiment)
                self._progressed = time.monotonic()
            except Exception as error:
                failed = True
                self._due.setdefault(name)
                self._tell_failure(str(error))
                if isinstance(error, ServerUnreachable):
                    break
        if not failed:
            self._failing = False
        return not self._due

    def _tell_failure(self, why: str) -> None:
        if not self._failing:
            self._say(f"{why}; nothing is lost: {self._runs_dir} keeps everything, and {SYNC_COMMAND} sends it")
        self._failing = True
