"""Short runs with probes."""

from pathlib import Path

import pytest

from benchmarks import Run, configure, train

QUICK = {"epochs": 2, "epoch_updates": 3, "evaluate_every": 1, "samples": 100, "thorough": False}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient probe of a few updates."""
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient._UPDATES", 3)
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient.BATCHES", 2)


@pytest.fixture
def shortest(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without its picture."""
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient.draw_gradient_curves", lambda *_: None)


def trained(folder: Path, variant: str = "cgan_mlp", dataset: str = "digits", **changes) -> Run:
    config = configure(variant, dataset, **{**QUICK, **changes})
    return train(config, runs_dir=folder, track=False, pictures="none")


def figures(run: Run) -> list[dict[str, float]]:
    return [line.get("probes", {}) for line in run.folder.lines()]
