"""The samples that a run's last evaluation judged are drawn again, and have the run's own figures."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import Run, configure, train
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.evaluation.given import GivenSamples, judge_samples
from benchmarks.inference.judged import draw_judged
from variants import UserError

TINY = {"epochs": 2, "epoch_updates": 3, "probes": ()}


@pytest.mark.parametrize(
    ("variant", "dataset", "fields"),
    [
        ("cgan_mlp", "digits", {}),
        ("vanilla_gan", "digits", {"averaging": 0.5}),
        ("dcgan", "digits", {"precision": "bfloat16"}),
        ("separate_gans", "digits", {}),
        ("vanilla_gan", "ring8", {"noise": "bernoulli"}),
    ],
)
def test_they_have_the_figures_of_the_run(variant: str, dataset: str, fields: dict, own_folder: Path) -> None:
    config = configure(variant, dataset, seed=3, samples=130, thorough=False, **TINY, **fields)
    run = train(config, pictures="none", track=False)
    data = load(DatasetConfig(dataset), seed=3)
    samples, labels = draw_judged(run, data)
    found = judge_samples(GivenSamples(samples, labels), data, thorough=False)
    assert (labels is not None) == (variant in ("cgan_mlp", "separate_gans"))
    assert len(run.metrics) > 5
    assert found.metrics == pytest.approx(run.metrics, rel=1e-5, abs=1e-6)
    assert found.real_data == pytest.approx(run.folder.reference(), rel=1e-5, abs=1e-6)


def test_a_run_that_was_judged_elsewhere_is_refused(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("cgan_mlp", "digits")
    environment = run.folder.environment()
    monkeypatch.setattr(run.folder, "environment", lambda: environment | {"device": "NVIDIA H200"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"was judged on NVIDIA H200, with random numbers that only such a"):
        draw_judged(run, load(DatasetConfig("digits")))
