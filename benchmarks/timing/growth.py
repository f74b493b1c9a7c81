"""How time and memory grow: with the side of an image, the batch, the seeds of a job, and the workers that share them.

A series is fitted by a power law, time = a·x^b, least squares between logarithms; b is its exponent. Where a fixed cost
counts beside the growing one, b is smaller than for large x, so the points are shown with it. Needs no torch.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from benchmarks.timing.cases import Case
from benchmarks.timing.machine import busy, machine
from benchmarks.timing.processes import Process
from benchmarks.timing.rounds import in_turn

SIDES = (8, 16, 32, 64)
BATCHES = (16, 32, 64, 128, 256, 512)
SEEDS = (1, 2, 4, 8)
# The side at which batches are compared, and the batch at which sides are.
SIDE, BATCH = 32, 64
# Generator updates of each run whose seeds and workers are counted: some seconds.
RUN_UPDATES = 500

Say = Callable[[str], None]


@dataclass(frozen=True)
class Series:
    """One quantity that grows. what: is trained. against: what x is. seconds, memory_mib: at each x."""

    what: str
    against: str
    x: tuple[float, ...]
    seconds: tuple[float, ...]
    memory_mib: tuple[float, ...]
    exponent: float
    memory_exponent: float


def series(what: str, against: str, x: Sequence[float], seconds: Sequence[float], memory: Sequence[float]) -> Series:
    return Series(
        what,
        against,
        tuple(x),
        tuple(seconds),
        tuple(memory),
        exponent(x, seconds),
        exponent(x, memory) if memory else math.nan,
    )


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """b of y = a·x^b, by least squares between the logarithms; NaN for fewer than two points."""
    if len(x) < 2:
        return math.nan
    return linear_regression([math.log(each) for each in x], [math.log(each) for each in y]).slope


def measure(
    variants: Sequence[str],
    threads: int,
    rounds: int,
    seconds: float,
    say: Say,
    *,
    sides: Sequence[int] = SIDES,
    batches: Sequence[int] = BATCHES,
    seeds: Sequence[int] = SEEDS,
    workers: Sequence[int] = (),
    updates: int = RUN_UPDATES,
) -> dict[str, Any]:
    """Every series, as JSON values. workers: 1, 2, 4, … up to the cores where none are given."""
    before = machine()
    notes = busy(before)
    for note in notes:
        say(note)
    measured: list[Series] = []
    for variant in variants:
        for against, cases in (
            ("side of an image", {side: sized(variant, side, BATCH, threads) for side in sides}),
            ("batch", {batch: sized(variant, SIDE, batch, threads) for batch in batches}),
        ):
            say(f"{variant}: time and memory against {against}")
            points, software = updates_of(list(cases.values()), rounds, seconds)
            before |= software
            measured.append(series(f"update of {variant}", against, list(cases), *zip(*points, strict=True)))
    cores = before["cores"]
    workers = workers or [2**power for power in range(cores.bit_length()) if 2**power <= cores]
    say(f"runs of {updates} updates: {', '.join(map(str, seeds))} seeds with one worker")
    by_seeds = [job_seconds(count, 1, updates) for count in seeds]
    measured.append(series("job", "seeds", seeds, by_seeds, ()))
    say(f"{max(seeds)} seeds with {', '.join(map(str, workers))} workers")
    by_workers = [job_seconds(max(seeds), count, updates) for count in workers]
    measured.append(series("job", "workers", workers, by_workers, ()))
    return {
        "kind": "growth",
        "machine": before,
        "rounds": rounds,
        "notes": notes,
        "series": [asdict(each) for each in measured],
    }


def sized(variant: str, side: int, batch: int, threads: int) -> Case:
    return Case(variant, "digits", changes={"batch_size": batch}, recipe="default", threads=threads, side=side)


def updates_of(cases: Sequence[Case], rounds: int, seconds: float) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    """The median seconds of an update of each case, timed in turn, and the memory of its process in MiB."""
    processes: list[Process] = []
    try:
        for case in cases:
            processes.append(Process("Ours", case))
            processes[-1].send("facts")
        facts = [process.receive() for process in processes]
        counts = [process.ask("count_in", "loop", seconds) for process in processes]
        timed = {
            str(place): (lambda process=process, count=count: process.ask("seconds_for", "loop", count) / count)
            for place, (process, count) in enumerate(zip(processes, counts, strict=True))
        }
        times = [median(each) for each in in_turn(timed, rounds).values()]
        return [(each, process.ask("memory")) for each, process in zip(times, processes, strict=True)], facts[0][
            "software"
        ]
    finally:
        for process in processes:
            process.end()


def job_seconds(seeds: int, workers: int, updates: int) -> float:
    """Seconds in which so many runs are trained by so many worker processes, which have been started before."""
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.executors.processes import Processes
    from benchmarks.training.configure import configure

    def job(first: int, count: int, epoch_updates: int) -> RunGroup:
        quick = {"epochs": 1, "samples": 100, "thorough": False, "probes": ()}
        shared = [
            configure("cgan_mlp", "digits", seed=seed, epoch_updates=epoch_updates, **quick)
            for seed in range(first, first + count)
        ]
        return RunGroup(tuple(shared))

    with tempfile.TemporaryDirectory(prefix="gan-benchmark-") as folder:
        settings = RunOptions(runs_dir=Path(folder), pictures="none", track=False, device="cpu")
        with Processes(settings, workers, say=lambda sentence: None) as executor:
            for future in executor.submit(job(1000, workers, 1)):
                future.result()
            began = time.perf_counter()
            for future in executor.submit(job(0, seeds, updates)):
                future.result()
            return time.perf_counter() - began
