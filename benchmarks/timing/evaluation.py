"""How long judging takes: every metric that is measured at each evaluation, and the Fréchet distance of many features.

Real training examples stand for samples, because it takes as long to judge them; generating is not in the figures, and
the real side is computed before.
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
from benchmarks.timing.machine import busy, machine, software
from benchmarks.timing.rounds import Spread, in_turn, ratios
from metrics.frechet import Moments, frechet_distance, moments

# As many as the features of the Inception network that FID was made for.
FEATURES = 2048
# Rounds of the slow root, which takes some ten seconds.
ROOT_ROUNDS = 3


def measure(
    dataset: str, threads: int, rounds: int, data_dir: Path | None, say: Callable[[str], None], features: int = FEATURES
) -> dict[str, Any]:
    """Seconds of an evaluation in all and metric by metric, and of a Fréchet distance beside scipy's root."""
    before = machine()
    if threads:
        torch.set_num_threads(threads)
    keep_memory()
    data = load(DatasetConfig(dataset), data_dir)
    notes = [*busy(before), *data.notes]
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
        say(f"judging, round {number + 1} of {rounds}")
        comparison, began = evaluator.compare(samples), time.perf_counter()
        evaluator.measure(names, comparison)
        whole.append(time.perf_counter() - began)
        for name in names:
            parts[name].append(evaluator.seconds[name])
    return {
        "kind": "evaluation",
        "machine": before | software(),
        "rounds": rounds,
        "notes": notes,
        "dataset": data.name,
        "samples": SAMPLES,
        "seconds": Spread.of(whole).as_dict(),
        "metrics": {name: Spread.of(seconds).as_dict() for name, seconds in parts.items()},
        "frechet": distances(features, min(rounds, ROOT_ROUNDS), say),
    }


def distances(features: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The Fréchet distance of two sets of features, ours and by the root of the product, in turn."""
    import scipy.linalg

    say(f"Fréchet distances of {features} features, {rounds} rounds")
    drawn = torch.Generator().manual_seed(0)
    scales = torch.logspace(0, -2, features)
    # As many samples as twice the features, so that no covariance is singular.
    fake, real = (moments(torch.randn(2 * features, features, generator=drawn) * scales + shift) for shift in (0, 0.1))
    values: dict[str, float] = {}

    def by_root(one: Moments, other: Moments) -> float:
        root = scipy.linalg.sqrtm((one.covariance @ other.covariance).numpy())
        traces = one.covariance.trace() + other.covariance.trace()
        return (one.mean - other.mean).square().sum().item() + traces.item() - 2 * root.real.trace()

    def timed(name: str, distance: Callable[[Moments, Moments], float]) -> Callable[[], float]:
        def run() -> float:
            began = time.perf_counter()
            values[name] = distance(fake, real)
            return time.perf_counter() - began

        return run

    measured = in_turn({"ours": timed("ours", frechet_distance), "root": timed("root", by_root)}, rounds)
    return {
        "features": features,
        "seconds": Spread.of(measured["ours"]).as_dict(),
        "sqrtm_seconds": Spread.of(measured["root"]).as_dict(),
        "faster": ratios(measured["root"], measured["ours"]).as_dict(),
        "difference": abs(values["ours"] / values["root"] - 1),
    }
