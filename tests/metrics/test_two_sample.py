"""Each torchmetrics metric computes of batches, processes and copies what it computes of the whole."""

import doctest
import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from torch import Tensor
from torchmetrics.wrappers import FeatureShare

import metrics
from metrics.base import Unmeasurable
from metrics.two_sample import TwoSampleMetric
from tests.tensors import normal

ROWS = 240
CLASSES = torch.arange(ROWS) % 3
CENTRES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
POINTS = CENTRES[CLASSES] + normal(5, ROWS, 2)
FLAGS = normal(6, ROWS, 3) > -0.5


def features(side: int, columns: int = 4) -> Tensor:
    return normal(side, ROWS, columns) * (1 + 0.2 * side) + CLASSES[:, None]


@dataclass(frozen=True)
class Case:
    """What a metric is made of, and what both sides are updated with; no real side if it takes none."""

    make: Callable[..., torchmetrics.Metric]
    fake: tuple[Any, ...]
    real: tuple[Any, ...] = ()


def images(side: int) -> Tensor:
    return features(side, 256).view(ROWS, 1, 16, 16)


CASES = {
    "FrechetDistance": Case(metrics.FrechetDistance, (features(1),), (features(0),)),
    "NormalizedFrechetDistance": Case(
        lambda **given: metrics.NormalizedFrechetDistance([torch.nn.Identity(), torch.sin], **given),
        (features(1),),
        (features(0),),
    ),
    "KernelDistance": Case(metrics.KernelDistance, (features(1),), (features(0),)),
    "InceptionMetrics": Case(
        lambda **given: metrics.InceptionMetrics(lambda images: (images, 3 * images), **given),
        (features(1),),
        (features(0),),
    ),
    "PRDC": Case(metrics.PRDC, (features(1),), (features(0),)),
    "ClassDiversity": Case(
        lambda **given: metrics.ClassDiversity(3, **given), (features(1), CLASSES, FLAGS[:, 0]), (features(0), CLASSES)
    ),
    "MemorizationProbability": Case(
        metrics.MemorizationProbability, (features(1)[:, 0].abs(), CLASSES), (features(0)[:, 0].abs(), CLASSES)
    ),
    "Copies": Case(metrics.Copies, (features(1)[:, 0].abs(), 0 * CLASSES), (features(0)[:, 0].abs(), 0 * CLASSES)),
    "GANTrain": Case(
        lambda **given: metrics.GANTrain(3, **given), (features(1).float(), CLASSES), (features(0).float(), CLASSES)
    ),
    "Checkerboard": Case(metrics.Checkerboard, (images(1),), (images(0),)),
    "ClassAccuracy": Case(lambda: metrics.ClassAccuracy(3), (torch.where(FLAGS[:, 0], CLASSES, 0), CLASSES)),
    "ClassifierScore": Case(metrics.ClassifierScore, (features(1),)),
    "CaptionAccuracy": Case(lambda: metrics.CaptionAccuracy(["digit", "slant"]), (FLAGS[:, :2], FLAGS[:, 2])),
    "CaptionAgreement": Case(metrics.CaptionAgreement, (FLAGS[:, :2], FLAGS[:, 2], FLAGS[:, 0])),
    "ModeCoverage": Case(lambda: metrics.ModeCoverage(torch.ones(4)), (CLASSES, FLAGS[:, 0])),
    "ModeKL": Case(lambda: metrics.ModeKL(torch.ones(4)), (CLASSES,)),
    "ModesCaptured": Case(lambda: metrics.ModesCaptured(4), (CLASSES,)),
    "HighQuality": Case(lambda: metrics.HighQuality(CENTRES, 0.5), (POINTS,)),
    "Overlap": Case(lambda: metrics.Overlap(CENTRES, 1.5), (POINTS,)),
    "ModeSpread": Case(lambda: metrics.ModeSpread(CENTRES, 1.5, 0.5), (POINTS,)),
}
COMPARING = [name for name, case in CASES.items() if case.real]


def update(metric: torchmetrics.Metric, case: Case, rows: slice) -> None:
    if case.real:
        metric.update(*(each[rows] for each in case.real), real=True)
        metric.update(*(each[rows] for each in case.fake), real=False)
    else:
        metric.update(*(each[rows] for each in case.fake))


def filled(name: str, *parts: slice) -> torchmetrics.Metric:
    metric = CASES[name].make()
    for part in parts:
        update(metric, CASES[name], part)
    return metric


def values(computed: Any) -> dict[str, float]:
    return {k: v.item() for k, v in computed.items()} if isinstance(computed, dict) else {"": computed.item()}


FIRST, SECOND, WHOLE = slice(0, 130), slice(130, ROWS), slice(0, ROWS)


def agree(one: Any, other: Any) -> bool:
    return values(one) == pytest.approx(values(other), rel=1e-9, abs=1e-12, nan_ok=True)


def test_every_exported_metric_is_a_case() -> None:
    assert set(CASES) == set(metrics.__all__)
    assert {name for name in CASES if issubclass(getattr(metrics, name), TwoSampleMetric)} == set(COMPARING)
    with pytest.raises(AttributeError, match="no attribute 'FrechetDistanc'"):
        _ = metrics.FrechetDistanc


@pytest.mark.parametrize("name", CASES)
def test_the_examples_of_the_docstrings_are_right(name: str) -> None:
    kind = getattr(metrics, name)
    module = importlib.import_module(kind.__module__)
    found = doctest.DocTestFinder(recurse=False).find(kind, name, globs=vars(module).copy())
    assert sum(len(test.examples) for test in found) > 2
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in found)


@pytest.mark.parametrize("name", CASES)
def test_batches_are_computed_as_the_whole(name: str) -> None:
    assert agree(filled(name, FIRST, SECOND).compute(), filled(name, WHOLE).compute())


def gathered(other: torchmetrics.Metric) -> Callable[..., list[Tensor]]:
    """What torch.distributed would gather: the state of this process, and the same state of the other."""
    rows = [getattr(other, name) for name in other._reductions]
    queue = [torch.cat(state) if isinstance(state, list) else state for state in rows]
    return lambda mine, group: [mine, queue.pop(0)]


@pytest.mark.parametrize("name", CASES)
def test_the_states_of_two_processes_are_computed_as_the_whole(name: str) -> None:
    mine, other = filled(name, FIRST), filled(name, SECOND)
    pairs = [(mine, other)]
    if name == "NormalizedFrechetDistance":
        pairs = list(zip(mine.distances, other.distances, strict=True))
    for here, there in pairs:
        here.dist_sync_fn, here.distributed_available_fn = gathered(there), lambda: True
    assert agree(mine.compute(), filled(name, WHOLE).compute())
    # Afterwards the process has its own state again.
    mine._computed = None
    for here, _ in pairs:
        here._computed, here.distributed_available_fn = None, lambda: False
    assert agree(mine.compute(), filled(name, FIRST).compute())


# `merge_state` puts the other's rows first, and the Inception score draws its ten groups from rows in their order.
@pytest.mark.parametrize("name", [n for n in CASES if n not in ("NormalizedFrechetDistance", "InceptionMetrics")])
def test_merged_states_are_computed_as_the_whole(name: str) -> None:
    metric = filled(name, FIRST)
    metric.merge_state(filled(name, SECOND))
    assert agree(metric.compute(), filled(name, WHOLE).compute())


@pytest.mark.parametrize("name", COMPARING)
def test_a_reset_may_keep_the_real_side(name: str) -> None:
    case, whole = CASES[name], filled(name, WHOLE).compute()
    metric = case.make(reset_real_features=False)
    metric.update(*case.real, real=True)
    metric.update(*(each.flip(0) for each in case.fake), real=False)
    metric.compute()
    metric.reset()
    metric.update(*case.fake, real=False)
    assert agree(metric.compute(), whole)
    # More of the real side counts, although what is derived of it was kept.
    metric.update(*(each[FIRST] for each in case.real), real=True)
    more = case.make()
    for rows in (case.real, tuple(each[FIRST] for each in case.real)):
        more.update(*rows, real=True)
    more.update(*case.fake, real=False)
    assert agree(metric.compute(), more.compute())


@pytest.mark.parametrize("name", COMPARING)
def test_a_side_without_rows_is_unmeasurable(name: str) -> None:
    case = CASES[name]
    metric = case.make(reset_real_features=True)
    for side, reason in ((True, "no sample"), (False, "no real example")):
        metric.reset()
        metric.update(*(case.real if side else case.fake), real=side)
        with pytest.raises(Unmeasurable, match=reason):
            metric.compute()


@pytest.mark.parametrize("name", CASES)
def test_copies_and_devices_keep_the_state(name: str) -> None:
    metric = filled(name, WHOLE)
    wanted = metric.compute()
    for copy in (metric.clone(), metric.to("cpu")):
        copy._computed = None
        assert agree(copy.compute(), wanted)


def test_a_collection_computes_all_of_the_same_features() -> None:
    names = ["FrechetDistance", "KernelDistance", "PRDC"]
    collection = torchmetrics.MetricCollection([CASES[name].make(reset_real_features=False) for name in names])
    collection.update(features(0), real=True)
    for _ in range(2):
        for part in (FIRST, SECOND):
            collection.update(features(1)[part], real=False)
        alone = [filled(name, WHOLE).compute() for name in names]
        wanted = {"FrechetDistance": alone[0], **alone[1], **alone[2]}
        assert agree(collection.compute(), wanted)
        collection.reset()


def test_shared_features_are_read_once_for_each_batch() -> None:
    read = []

    class Network(torch.nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            read.append(len(rows))
            return rows.sin()

    network = Network()
    share = FeatureShare([metrics.FrechetDistance(network), metrics.KernelDistance(network), metrics.PRDC(network)])
    share.update(features(0), real=True)
    share.update(features(1), real=False)
    assert read == [ROWS, ROWS]
    alone = metrics.PRDC()
    alone.update(features(0).sin(), real=True)
    alone.update(features(1).sin(), real=False)
    assert values(share.compute()).items() >= values(alone.compute()).items()


def test_a_call_only_updates() -> None:
    metric = metrics.FrechetDistance(reset_real_features=False)
    assert metric(features(0), real=True) is metric(features(1), real=False) is None
    assert agree(metric.compute(), filled("FrechetDistance", WHOLE).compute())


def process(rank: int, folder: Path) -> None:
    """Computes every metric of its half of the rows, with another process, and writes them down."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/met", rank=rank, world_size=2)
    found = {name: values(filled(name, (FIRST, SECOND)[rank]).compute()) for name in CASES}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


@pytest.mark.long
def test_two_processes_compute_the_whole(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(process, (tmp_path,), nprocs=2, start_method="spawn")
    wanted = {name: values(filled(name, WHOLE).compute()) for name in CASES}
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for name in CASES:
            assert found[name] == pytest.approx(wanted[name], rel=1e-9, abs=1e-12, nan_ok=True)
