"""Compares metrics of this project with torchmetrics' own: how far each is from the exact value, and how long it takes.

Features are made so that the exact value is known: real ones are normal with correlated units, samples are the same
scaled, so that ‖m₁ − m₂‖² + tr(S₁ + S₂ − 2 (S₁S₂)^½) is (1 − a)² (‖m‖² + tr S) for a factor a.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.algorithm.device import keep_memory
from benchmarks.timing.machine import describe_machine, describe_software, warn_if_busy
from benchmarks.timing.rounds import Spread, time_in_turn

SAMPLES, FEATURES, CLASSES = 10_000, 64, 10
_FACTOR = 1.5


class _Given(nn.Module):
    """Passes on features, as torchmetrics asks of a network."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


@dataclass(frozen=True)
class _Contest:
    """Holds a metric of both, made afresh, with what they are updated with, and the exact value."""

    metric: str
    theirs: str
    examples: str
    exact: float
    # Each returns the value.
    measure: Callable[[], float]
    measure_theirs: Callable[[], float]


def measure_libraries(threads: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns for each metric and kind of example both values, the exact one, and the seconds, as JSON values."""
    machine = describe_machine()
    if threads:
        torch.set_num_threads(threads)
    keep_memory()
    notes = warn_if_busy(machine)
    for note in notes:
        say(note)
    rows = []
    for contest in _contests(torch.Generator().manual_seed(0)):
        say(f"{contest.metric}: {contest.examples}")
        values: dict[str, float] = {}

        def timed(name: str, measure: Callable[[], float], values: dict[str, float] = values) -> Callable[[], float]:
            def run() -> float:
                began = time.perf_counter()
                with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
                    # Theirs tell on every call that they keep all features.
                    warnings.simplefilter("ignore", UserWarning)
                    torch.manual_seed(0)
                    values[name] = measure()
                return time.perf_counter() - began

            return run

        seconds = time_in_turn(
            {"ours": timed("ours", contest.measure), "theirs": timed("theirs", contest.measure_theirs)}, rounds
        )
        rows.append(
            {
                "metric": contest.metric,
                "torchmetrics": contest.theirs,
                "examples": contest.examples,
                "exact": contest.exact,
                "values": values,
                "seconds": {name: Spread.of(each).as_dict() for name, each in seconds.items()},
            }
        )
    return {
        "kind": "libraries",
        "machine": machine | describe_software(),
        "rounds": rounds,
        "notes": notes,
        "samples": SAMPLES,
        "features": FEATURES,
        "rows": rows,
    }


def _contests(generator: torch.Generator) -> Iterator[_Contest]:
    from torchmetrics.classification import MulticlassAccuracy
    from torchmetrics.image import FrechetInceptionDistance, InceptionScore, KernelInceptionDistance

    from metrics import ClassAccuracy, ClassifierScore, FrechetDistance, KernelDistance

    mixing = torch.randn(FEATURES, FEATURES, generator=generator) / math.sqrt(FEATURES)
    real = torch.randn(SAMPLES, FEATURES, generator=generator) @ mixing + 0.5
    dead = real.clone()
    dead[:, ::4], dead[:, 1::4] = 0, 3
    for examples, features, factor in (
        ("scaled", real, _FACTOR),
        ("equal sets", real, 1.0),
        ("scaled, half of the units dead", dead, _FACTOR),
        ("scaled, 50 samples", real[:50], _FACTOR),
    ):
        fake = features * factor
        exact = (1 - factor) ** 2 * (features.double().mean(0).square().sum() + features.double().var(0).sum()).item()

        def ours(fake: Tensor = fake, features: Tensor = features) -> float:
            return _compare(FrechetDistance(), features, fake).item()

        def theirs(fake: Tensor = fake, features: Tensor = features) -> float:
            return _compare(FrechetInceptionDistance(feature=_Given(FEATURES)), features, fake).item()

        yield _Contest("fid", "FrechetInceptionDistance", examples, exact, ours, theirs)
    other = torch.randn(SAMPLES, FEATURES, generator=generator) @ mixing + 0.55
    yield _Contest(
        "kid",
        "KernelInceptionDistance",
        "shifted",
        _exact_kernel_distance(other.double(), real.double()),
        lambda: _compare(KernelDistance(), real, other)["kid"].item(),
        lambda: _compare(KernelInceptionDistance(feature=_Given(FEATURES)), real, other)[0].item(),
    )
    labels = torch.arange(SAMPLES) % CLASSES
    wrong = torch.arange(SAMPLES) % 7 == 0
    predictions = torch.where(wrong, (labels + 1) % CLASSES, labels)
    yield _Contest(
        "accuracy",
        "MulticlassAccuracy",
        "a seventh wrong",
        1 - int(wrong.sum()) / SAMPLES,
        lambda: _update(ClassAccuracy(CLASSES), predictions, labels)["accuracy"].item(),
        lambda: _update(MulticlassAccuracy(CLASSES, average="micro"), predictions, labels).item(),
    )
    logits = 4 * nn.functional.one_hot(labels, CLASSES).float() + torch.randn(SAMPLES, CLASSES, generator=generator)
    given = logits.double().softmax(1)
    divergences = (given * (given / given.mean(0)).log()).sum(1)
    yield _Contest(
        "classifier_score",
        "InceptionScore",
        "ten classes",
        divergences.mean().exp().item(),
        lambda: _update(ClassifierScore(), logits).item(),
        lambda: _update(InceptionScore(feature=_Given(CLASSES), splits=1), logits)[0].item(),
    )


def _compare(metric: Any, real: Tensor, fake: Tensor) -> Any:
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


def _update(metric: Any, *inputs: Tensor) -> Any:
    metric.update(*inputs)
    return metric.compute()


def _exact_kernel_distance(fake: Tensor, real: Tensor) -> float:
    """Returns the unbiased squared discrepancy of all pairs, by its definition, in float64."""

    def mean(x: Tensor, y: Tensor, pairs: int) -> float:
        sums = [((part @ y.mT / x.shape[1] + 1) ** 3).sum() for part in x.split(1000)]
        own = ((x.square().sum(1) / x.shape[1] + 1) ** 3).sum() if x is y else 0
        return float(sum(sums) - own) / pairs

    n, m = len(fake), len(real)
    return mean(fake, fake, n * (n - 1)) + mean(real, real, m * (m - 1)) - 2 * mean(fake, real, n * m)
