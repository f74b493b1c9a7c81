"""Many runs in one process, and many epochs in one run: memory and open files stay flat.

Both are trained in a process of their own, which tells after each run, or epoch, how much memory it holds and how many
files it has open. Flat means: the mean over the last tenth is above that of the second tenth by no more than ALLOWED;
the first tenth is left out, because what is imported late and what is kept once comes in it.
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
WHOLE = {"runs": 200, "epochs": 1000}
WORKER = "tests.soak.endurance"
TINY = {"epoch_updates": 2, "samples": 50, "thorough": False}


def held() -> dict[str, float]:
    """Memory of this process in MiB, and its open files. Linux tells them in /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20, "files": len(os.listdir("/proc/self/fd"))}


def many_runs(count: int, work: Path) -> None:
    """Trains run after run, with tracking and pictures, and prints what is held after each."""
    from benchmarks import configure, train

    for seed in range(count):
        config = configure("cgan_mlp", "digits", seed=seed, epochs=2, **TINY)
        train(config, runs_dir=work / "runs", tracking_uri=f"sqlite:///{work / 'mlflow.db'}", pictures="milestones")
        # What a finished run leaves on the disk is not what is asked about.
        shutil.rmtree(work / "runs" / config.name)
        print(json.dumps(held()), flush=True)


def many_epochs(count: int, work: Path) -> None:
    """Trains one run of many epochs and prints what is held after each."""
    from benchmarks import configure, train
    from benchmarks.training.listener import ProgressListener

    class Tells(ProgressListener):
        def line(self, line: dict) -> None:
            print(json.dumps(held()), flush=True)

    config = configure("cgan_mlp", "digits", epochs=count, evaluate_every=10, **TINY)
    uri = f"sqlite:///{work / 'mlflow.db'}"
    train(config, runs_dir=work / "runs", tracking_uri=uri, pictures="milestones", listener=Tells())


def measured(what: str, count: int, work: Path, say: Callable[[str], None]) -> list[dict[str, float]]:
    """What such a process held, time after time. Kept in a file, so that it is trained once for this code."""
    kept = work / f"endurance-{what}-{count}-{code()}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    place = work / f"endurance-{what}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    words = [sys.executable, "-m", WORKER, what, str(count), str(place.absolute())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    told: list[dict[str, float]] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=place) as process:
        for line in process.stdout:
            if line.startswith("{"):
                told.append(json.loads(line))
                say(f"{what}: {len(told)} of {count}; {told[-1]}")
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    kept.write_text(json.dumps(told))
    return told


def growth(told: list[dict[str, float]], what: str) -> float:
    """How much more there is in the last tenth than in the second one, as a share of the latter."""
    tenth = max(1, len(told) // 10)
    early = mean(each[what] for each in told[tenth : 2 * tenth])
    return mean(each[what] for each in told[-tenth:]) / early - 1


def endurance(
    work: Path, size: float, say: Callable[[str], None], runs: int = 200, epochs: int = 1000
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for what, count in (("runs", runs), ("epochs", epochs)):
        told = measured(what, max(3, round(count * size)), work, say)
        grown = {each: growth(told, each) for each in ("mib", "files")}
        figures |= {
            what: count,
            f"{what}_growth_of_memory": round(grown["mib"], 4),
            f"{what}_growth_of_open_files": round(grown["files"], 4),
            f"{what}_mib_at_the_end": round(told[-1]["mib"], 1),
            f"{what}_flat": all(value <= ALLOWED for value in grown.values()),
        }
    return figures


if __name__ == "__main__":
    {"runs": many_runs, "epochs": many_epochs}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
