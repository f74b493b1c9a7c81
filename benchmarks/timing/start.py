"""How long a person waits: until --help is there, and until a run makes its first update. Needs no torch.

Each is a process of its own, timed from before it starts.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.timing.machine import busy, machine
from benchmarks.timing.rounds import Spread, in_turn
from variants.recipe import UserError

# The command itself, with a screen that ends the process at the first update.
FIRST_UPDATE = """
import os, sys
from benchmarks import run
from benchmarks.cli import progress

class Screen(progress.RunProgress):
    def update(self, epoch, updates):
        os._exit(0)

progress.RunProgress = Screen
sys.exit(run.main())
"""
VERSION = "import torch; print(torch.__version__, torch.get_num_threads())"


def measure(
    variant: str, dataset: str, rounds: int, data_dir: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of each in turn; the first round, which may read from a cold disk, counts as the others do."""
    before = machine()
    notes = busy(before)
    for note in notes:
        say(note)
    where = ["--data-dir", str(data_dir.absolute())] if data_dir else []

    def ended(*words: str) -> float:
        with tempfile.TemporaryDirectory(prefix="gan-benchmark-") as folder:
            kept = ["--runs-dir", f"{folder}/runs", "--tracking-uri", f"sqlite:///{folder}/mlflow.db"]
            began = time.perf_counter()
            command = [sys.executable, *words, *(kept if words[0] == "-c" else ())]
            done = subprocess.run(command, capture_output=True, text=True)
            seconds = time.perf_counter() - began
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
            # Of a traceback, without the name of the exception.
            what = re.sub(r"^(error|[\w.]+\.\w+): ", "", said[-1])
            raise UserError(f"the command that was timed failed: {what}")
        return seconds

    version, threads = subprocess.run([sys.executable, "-c", VERSION], capture_output=True, text=True).stdout.split()
    train = ["-c", FIRST_UPDATE, "--variant", variant, "--dataset", dataset, *where, *plugins.list_arguments()]
    say(f"starting each {rounds} times")
    timed = {
        "`python -m benchmarks.run --help`": lambda: ended("-m", "benchmarks.run", "--help"),
        "`import torch`": lambda: ended("-c", "import torch"),
        f"the first update of {variant} on {dataset}": lambda: ended(*train),
    }
    measured = in_turn(timed, rounds)
    return {
        "kind": "start",
        "machine": before | {"torch": version, "threads": int(threads), "device": "cpu"},
        "rounds": rounds,
        "notes": notes,
        "seconds": {name: Spread.of(seconds).as_dict() for name, seconds in measured.items()},
    }
