"""Presses Ctrl-C in the middle of a run; `python -m tests.ctrl_c` is `python -m benchmarks.run`, so interrupted."""

import os
import signal
from collections.abc import Callable
from typing import Any

from benchmarks.cli import options, progress
from benchmarks.run import main
from benchmarks.training import loop


def press_after_epoch_2(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Presses it once the second epoch is in the journal, but not yet in a checkpoint."""
    written = progress.RunProgress.line

    def line(screen: progress.RunProgress, line: dict) -> None:
        written(screen, line)
        if line["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    set_attribute(progress.RunProgress, "line", line)
    set_attribute(loop, "CHECKPOINT_SECONDS", 0.0)


if __name__ == "__main__":
    press_after_epoch_2()
    options.run_command(main)
