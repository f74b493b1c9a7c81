"""Runs tests, each time in a fresh child of a process that has imported the libraries already.

Importing torch and the like takes longer than most tests. Started by `mutants.Tester` as a script, with the copy of the
repository in which the tests are as the working directory: none of its modules may be imported here.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

LIBRARIES = (
    "pytest",
    "hypothesis",
    "torch",
    "torchvision",
    "torchmetrics",
    "scipy.stats",
    "scipy.linalg",
    "sklearn.metrics",
    "sklearn.neighbors",
    "pandas",
    "matplotlib.pyplot",
    "seaborn",
)


def run(tests: Sequence[str]) -> None:
    """The child: ends with pytest's exit status."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    import pytest

    words = ["-x", "-q", "-m", "not long", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    os._exit(pytest.main([*words, *tests]))


def wait_for(child: int, seconds: float) -> int | None:
    """Returns the status of a child once it has ended; None for one that takes longer and is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    # What the tests started is in its session.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def serve() -> None:
    """Answers each line {"tests": …, "seconds": …} by one with "passed", "failed" or "hung", and the seconds."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        asked, began = json.loads(line), time.monotonic()
        child = os.fork()
        if not child:
            try:
                run(asked["tests"])
            finally:
                os._exit(3)
        status = wait_for(child, asked["seconds"])
        # 0 is all passed; anything else a failure, or that they could not even be run.
        told = "hung" if status is None else "failed" if status else "passed"
        print(json.dumps([told, time.monotonic() - began]), flush=True)


if __name__ == "__main__":
    serve()
