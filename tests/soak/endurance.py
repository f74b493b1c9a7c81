"""Trains many runs in one process, and many epochs in one run: memory and open files have to stay flat.

Both are trained in a process of their own, which prints its memory and its open files after each run, or epoch. Flat
means that the mean over the last tenth exceeds that of the second tenth by no more than ALLOWED; the first tenth is
left out, because late imports and caches fall into it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from tests.soak.figures import ROOT, code

ALLOWED = 0.05
TINY = {"epoch_updates": 2, "samples": 50, "thorough": False}


def measure_process() -> dict[str, float]:
    """Returns the memory of this process in MiB, and its open files, from Linux's /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20, "files": len(os.listdir("/proc/self/fd"))}


def train_many_runs(count: int, work: Path) -> None:
    """Trains run after run, with tracking and pictures, and prints a measurement after each."""
    from benchmarks import configure, train

    for seed in range(count):
        config = configure("cgan_mlp", "digits", seed=seed, epochs=2, **TINY)
        train(config, runs_dir=work / "runs", tracking_uri=f"sqlite:///{work / 'mlflow.db'}", pictures="milestones")
        # The question is not what a finished run leaves on the disk.
        shutil.rmtree(work / "runs" / config.name)
        print(json.dumps(measure_process()), flush=True)


def train_many_epochs(count: int, work: Path) -> None:
    """Trains one run of many epochs, and prints a measurement after each."""
    from benchmarks import configure, train
    from benchmarks.training.listener import ProgressListener

    class Printer(ProgressListener):
        def line(self, line: dict) -> None:
            print(json.dumps(measure_process()), flush=True)

    config = configure("cgan_mlp", "digits", epochs=count, evaluate_every=10, **TINY)
    uri = f"sqlite:///{work / 'mlflow.db'}"
    train(config, runs_dir=work / "runs", tracking_uri=uri, pictures="milestones", listener=Printer())


def measure(what: str, count: int, work: Path, say: Callable[[str], None]) -> list[dict[str, float]]:
    """Trains in such a process, and returns its measurements; kept in a file, so that this code trains once."""
    kept = work / f"endurance-{what}-{count}-{code()}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    place = work / f"endurance-{what}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    words = [sys.executable, "-m", "tests.soak.endurance", what, str(count), str(place.absolute())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    found: list[dict[str, float]] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=place) as process:
        for line in process.stdout:
            if line.startswith("{"):
                found.append(json.loads(line))
                say(f"{what}: {len(found)} of {count}; {found[-1]}")
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    kept.write_text(json.dumps(found))
    return found


def measure_growth(found: list[dict[str, float]], what: str) -> float:
    """Returns the growth of the mean from the second tenth to the last tenth, as a share of the former."""
    tenth = max(1, len(found) // 10)
    early = mean(each[what] for each in found[tenth : 2 * tenth])
    return mean(each[what] for each in found[-tenth:]) / early - 1


def endurance(
    work: Path, size: float, say: Callable[[str], None], runs: int = 200, epochs: int = 1000
) -> dict[str, Any]:
    """Trains both, scaled by the size, and returns their growth."""
    figures: dict[str, Any] = {}
    for what, count in (("runs", runs), ("epochs", epochs)):
        found = measure(what, max(3, round(count * size)), work, say)
        grown = {each: measure_growth(found, each) for each in ("mib", "files")}
        figures |= {
            what: count,
            f"{what}_growth_of_memory": round(grown["mib"], 4),
            f"{what}_growth_of_open_files": round(grown["files"], 4),
            f"{what}_mib_at_the_end": round(found[-1]["mib"], 1),
            f"{what}_flat": all(value <= ALLOWED for value in grown.values()),
        }
    return figures


if __name__ == "__main__":
    {"runs": train_many_runs, "epochs": train_many_epochs}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
