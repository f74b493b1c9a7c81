"""Times the evaluation of samples, metric by metric.

Real training examples stand for samples: generating is not in the figures. The real side is computed before.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.algorithm.device import keep_memory
from benchmarks.config import SAMPLES, DatasetConfig
from benchmarks.datasets import load
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.matching import match_labels
from benchmarks.timing.machine import describe_machine, describe_software, warn_if_busy
from benchmarks.timing.rounds import Spread


def measure_evaluation(
    dataset: str, threads: int, rounds: int, data_dir: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Returns the seconds of an evaluation in all and of each metric, as JSON values."""
    machine = describe_machine()
    if threads:
        torch.set_num_threads(threads)
    keep_memory()
    data = load(DatasetConfig(dataset), data_dir)
    notes = [*warn_if_busy(machine), *data.notes]
    for note in notes:
        say(note)
    evaluator = Evaluator(data, SAMPLES)
    samples = data.train.images(match_labels(data.train, data.reference, SAMPLES))
    names = evaluator.names(final=False)
    say("computing the real side")
    evaluator.measure(names, evaluator.compare(samples))
    parts: dict[str, list[float]] = {name: [] for name in names}
    whole = []
    for number in range(rounds):
        say(f"evaluating, round {number + 1} of {rounds}")
        comparison, began = evaluator.compare(samples), time.perf_counter()
        evaluator.measure(names, comparison)
        whole.append(time.perf_counter() - began)
        for name in names:
            parts[name].append(evaluator.seconds[name])
    return {
        "kind": "evaluation",
        "machine": machine | describe_software(),
        "rounds": rounds,
        "notes": notes,
        "dataset": data.name,
        "samples": SAMPLES,
        "seconds": Spread.of(whole).as_dict(),
        "metrics": {name: Spread.of(seconds).as_dict() for name, seconds in parts.items()},
    }
