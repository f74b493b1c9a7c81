"""Makes runs that wait in the middle of training until a test lets them continue."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import configure
from benchmarks.config import RunConfig
from benchmarks.executors import Result, RunGroup, RunOptions, open_executor
from benchmarks.run_folder.folder import RunFolder
from tests.conftest import ROOT

TINY = {"epochs": 2, "epoch_updates": 10, "samples": 50, "thorough": False, "probes": ()}
# Seconds until a test gives up; on a busy machine it takes ten times as long as on an idle one.
PATIENCE = 300.0
EXAMPLE = ROOT / "examples" / "my_variant.py"

# Noise that is Gaussian and that, in the middle of its second epoch, waits until it may go on.
HELD = """
import os, time
from pathlib import Path

import benchmarks.training.loop
from variants.noise import gaussian

benchmarks.training.loop.CHECKPOINT_SECONDS = 0.0
FOLDER = Path({folder!r})
calls = 0


def held(shape, stream):
    global calls
    calls += 1
    if calls > 30 and not (FOLDER / "go").exists():
        (FOLDER / f"held-{{os.getpid()}}").touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
    return gaussian(shape, stream)


NOISES = {{"held": held}}
"""


def tiny(variant: str = "vanilla_gan", dataset: str = "ring8", seeds: int = 1, **changes) -> RunGroup:
    return RunGroup(tuple(configure(variant, dataset, seed=seed, **{**TINY, **changes}) for seed in range(seeds)))


def quick(runs_dir: Path, **changes) -> RunOptions:
    """Returns options without pictures, so that no worker imports matplotlib, and without stacking, for the bits."""
    return RunOptions(runs_dir, pictures="none", stack="off", **changes)


def results(executor_name: str, settings: RunOptions, *jobs: RunGroup, **options) -> list[Result]:
    with open_executor(executor_name, settings, **options) as executor:
        futures = [future for job in jobs for future in executor.submit(job)]
        return [future.result(timeout=PATIENCE) for future in futures]


def bits(runs_dir: Path, config: RunConfig) -> tuple[list[dict], bytes]:
    """Returns the journal but for the clock, and the generator: the same bits wherever a run was trained."""
    folder = RunFolder(runs_dir / config.name)
    lines = [{k: v for k, v in line.items() if k != "timing"} for line in folder.lines()]
    return lines, (folder.path / "generator.safetensors").read_bytes()


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Tells whether a process runs. A zombie counts as gone."""
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return True
