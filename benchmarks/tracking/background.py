"""benchmarks.tracking.background: TODO."""

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.run_folder.folder import RunFolder

if TYPE_CHECKING:
    pass

from benchmarks.tracking.client import CLOSE_SECONDS, SYNC_COMMAND, is_local, redact_uri, resolve_uri
from benchmarks.tracking.upload import sync_when_free

# Seconds between two syncs of a run in training, the longest that its end waits for a server, and after how many a
# person is told that it waits for a local store; chosen, not tuned.
SYNC_SECONDS = 10.0
TELL_SECONDS = 5.0
_LAST_ATTEMPTS = 3


def waited_for(
    thread: threading.Thread,
    uri: str,
    say: Callable[[str], None],
    since: Callable[[], float],
    seconds: float = CLOSE_SECONDS,
    patient: bool = True,
) -> str:
    """Waits for the end of a thread that sends to MLflow; returns why it no longer does, or "".

    A server is waited for so many seconds since the time of the last progress. A local store is not down, only slow: if
    patient, it is waited for without limit; a person is told so, and from then on may leave it by Ctrl-C.
    """
    local, told = patient and is_local(uri), False
    try:
        while thread.is_alive():
            thread.join(0.1)
            waited = time.monotonic() - since()
            if not local and waited > seconds and thread.is_alive():
                return f"MLflow at {redact_uri(uri)} did not take everything within {seconds:.0f} s"
            if local and not told and waited > TELL_SECONDS and thread.is_alive():
                told = True
                say(f"waiting until MLflow at {redact_uri(uri)} has everything; Ctrl-C leaves that to {SYNC_COMMAND}")
    except KeyboardInterrupt:
        if not told:
            raise
        return f"MLflow at {redact_uri(uri)} was not waited for"
    return ""


class Tracker:
    """Keeps MLflow up with a run while it trains, from a thread of its own.

    Nothing that MLflow does stops or slows the training: what it does not take stays in the run folder, and goes with
    the next sync that succeeds. `say` is told of a failure once, from that thread.
    """

    def __init__(
        self,
        folder: RunFolder,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        say: Callable[[str], None] = print,
        seconds: float = SYNC_SECONDS,
    ) -> None:
        self.folder, self.uri, self.experiment = folder, resolve_uri(tracking_uri), experiment
        self._say, self._seconds = say, seconds
        self._run_id: str | None = None
        self._failing = False
        self._news, self._closing = threading.Event(), threading.Event()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._keep_up, name="mlflow", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who pressed Ctrl-C is not kept waiting.
        self.close(patient=kind is not KeyboardInterrupt)

    def notify(self) -> None:
        """There is something new in the folder. Returns at once."""
        self._news.set()

    def close(self, seconds: float = CLOSE_SECONDS, patient: bool = True) -> str | None:
        """Sends what is left, the status included, and gives the run's id in MLflow; None where it did not all arrive.

        Waits for these seconds; if patient, for a local store until it has everything, or Ctrl-C is pressed.
        """
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._news.set()
        began = time.monotonic()
        if why := waited_for(self._thread, self.uri, self._say, lambda: began, seconds, patient):
            self._fail(why)
        return None if self._failing else self._run_id

    def _keep_up(self) -> None:
        while not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            if not self._closing.is_set():
                self._attempt()
            self._closing.wait(self._seconds)
        for _ in range(_LAST_ATTEMPTS):
            if self._attempt() or time.monotonic() + 1 > self._deadline:
                return
            time.sleep(1)

    def _attempt(self) -> bool:
        try:
            self._run_id = sync_when_free(self.folder, self.uri, self.experiment)
        except Exception as error:
            self._fail(str(error))
            return False
        self._failing = False
        return True

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._say(
                f"{why}; nothing is lost: {self.folder.path} keeps everything, and {SYNC_COMMAND} sends it at any time"
            )
        self._failing = True
