"""Collapse, divergence and a won discriminator, planted in a journal, are found once and recorded with the run."""

import math
from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.config import DatasetConfig
from benchmarks.datasets import DATASETS, load
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.run_folder.symptoms import COLLAPSE, DISCRIMINATOR_WON, DIVERGENCE, find_symptoms
from benchmarks.show import iter_facts
from benchmarks.tracking.download import list_runs
from benchmarks.training.listener import ProgressListener
from benchmarks.training.loop import Diverged
from metrics.features import load_extractor
from tests.datasets_on_disk import KINDS, write_folder, write_published

EPOCHS = 20


def line(epoch: int, metrics: dict[str, float] | None = None, **curves: float) -> dict:
    """Returns a line of a training without symptoms, but for the given figures."""
    usual = {"generator_loss": 0.9, "discriminator_loss": 1.2, "d_real": 0.6, "d_fake": 0.4}
    healthy = {"fid": 50.0 / (epoch + 1), "fid_pixels": 9.0, "precision": 0.7, "mode_coverage": 0.9, "diversity": 0.8}
    return {"epoch": epoch, "curves": usual | curves if epoch else {}, "metrics": healthy | (metrics or {})}


def names(lines: list[dict], *, probabilities: bool = True) -> list[tuple[str, int]]:
    return [(found.name, found.epoch) for found in find_symptoms(lines, EPOCHS, probabilities=probabilities)]


def test_a_good_training_has_no_symptom() -> None:
    assert names([line(epoch) for epoch in range(EPOCHS + 1)]) == []


def test_a_discriminator_that_is_sure_for_three_epochs_has_won() -> None:
    sure = {"d_real": 0.97, "d_fake": 0.02}
    lines = [line(epoch, **(sure if epoch in (2, 3, 6, 7, 8, 9) else {})) for epoch in range(12)]
    assert names(lines) == [(DISCRIMINATOR_WON, 8)]
    # Logits of other losses are not those of a probability, and one of the two alone is not enough.
    assert names(lines, probabilities=False) == []
    assert names([line(epoch, d_real=0.99) for epoch in range(12)]) == []


@pytest.mark.parametrize("loss", ["generator_loss", "discriminator_loss"])
def test_a_loss_that_runs_away_or_is_no_number_is_a_divergence(loss: str) -> None:
    for value in (51.0, -51.0, math.inf, math.nan):
        assert names([line(epoch, **({loss: value} if epoch == 5 else {})) for epoch in range(8)]) == [(DIVERGENCE, 5)]
    assert names([line(epoch, **{loss: 49.0}) for epoch in range(8)]) == []


def test_losses_without_a_scale_are_held_against_their_beginning() -> None:
    grown = [line(epoch, generator_loss=-20.0 * 10.0 ** max(0, epoch - 4)) for epoch in range(10)]
    assert names(grown, probabilities=False) == [(DIVERGENCE, 8)]
    assert names(grown[:8], probabilities=False) == []


def test_images_no_better_than_untrained_are_a_divergence_and_points_are_not() -> None:
    worse = [line(epoch, {"fid": 50.0 if epoch == 0 else 60.0}) for epoch in range(EPOCHS)]
    assert names(worse) == [(DIVERGENCE, EPOCHS // 4 + 1)]
    for each in worse:
        each["metrics"] = {"fid": each["metrics"]["fid"], "overlap": 0.9, "high_quality": 0.9}
    assert names(worse) == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_images_of_every_dataset_can_be_told_a_divergence_by_fid(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of = name.rpartition("_")[2] if name in ("captions_mnist", "stacked_mnist") else name
    if made_of in KINDS:
        write_published(made_of, tmp_path, monkeypatch)
    write_folder(tmp_path / "own")
    dataset = load(DatasetConfig("folder:own" if name == "folder" else name), tmp_path)
    for judges in ((), (load_extractor("digits"),)):
        measured = Evaluator(dataset, 100, judges).names(final=False)
        lines = [
            {"epoch": epoch, "metrics": dict.fromkeys(measured, math.nan) | {"fid": 60.0 if epoch else 50.0}}
            for epoch in range(EPOCHS)
        ]
        assert names(lines) == ([(DIVERGENCE, EPOCHS // 4 + 1)] if dataset.spec.is_image else [])


@pytest.mark.parametrize(
    "planted",
    [
        {"mode_coverage": 0.4},
        {"diversity": 0.1},
        {"precision": 0.1, "mode_coverage": 0.4, "diversity": math.nan},
    ],
    ids=["few modes", "all alike", "modes lost"],
)
def test_samples_that_look_real_and_are_few_are_a_collapse(planted: dict[str, float]) -> None:
    lines = [line(epoch, planted if epoch >= 10 else None) for epoch in range(EPOCHS)]
    assert names(lines) == [(COLLAPSE, 11)]
    # A single evaluation decides nothing, and neither does the beginning, through which most trainings pass like this.
    assert names([line(epoch, planted if epoch == 10 else None) for epoch in range(EPOCHS)]) == []
    early = [line(epoch, planted if epoch < EPOCHS // 4 else None) for epoch in range(EPOCHS)]
    assert names(early) == []


def test_points_in_half_of_the_modes_are_a_collapse() -> None:
    def points(epoch: int, overlap: float, high_quality: float) -> dict:
        return {"epoch": epoch, "curves": {}, "metrics": {"overlap": overlap, "high_quality": high_quality}}

    assert names([points(epoch, 0.5, 0.9) for epoch in range(EPOCHS)]) == [(COLLAPSE, EPOCHS // 4 + 1)]
    assert names([points(epoch, 0.9, 0.9) for epoch in range(EPOCHS)]) == []
    # Noise covers few modes, too, and is no collapse.
    assert names([points(epoch, 0.3, 0.1) for epoch in range(EPOCHS)]) == []


def test_each_kind_is_told_once_and_in_order() -> None:
    lines = [line(epoch, {"diversity": 0.1}, d_real=0.99, d_fake=0.01, generator_loss=80.0) for epoch in range(EPOCHS)]
    assert names(lines) == [(DIVERGENCE, 1), (DISCRIMINATOR_WON, 3), (COLLAPSE, 6)]


class Heard(ProgressListener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def test_a_run_is_marked_in_its_folder_and_in_mlflow_and_it_is_said_once(tmp_path: Path, tracking_uri: str) -> None:
    """Checks a generator that does not learn: its rate is next to nothing, and the discriminator's is large."""
    changes = {"generator_lr": 1e-9, "discriminator_lr": 2e-3, "discriminator_normalization": "none"}
    config = configure(
        "vanilla_gan", "digits", epochs=8, epoch_updates=22, samples=100, thorough=False, probes=(), **changes
    )
    run = train(config, runs_dir=tmp_path, tracking_uri=tracking_uri, pictures="none", listener=(heard := Heard()))
    status = run.folder.status()
    assert status["state"] == "FINISHED"
    assert DISCRIMINATOR_WON in status["symptoms"]
    told = [sentence for sentence in heard.said if "discriminator won in epoch" in sentence]
    assert len(told) == 1
    ((_, tags, _),) = list_runs(tracking_uri)
    assert f"{DISCRIMINATOR_WON} in epoch {status['symptoms'][DISCRIMINATOR_WON]}" in tags["symptoms"]
    assert ("symptoms", tags["symptoms"]) in list(iter_facts(run))
    # The journal alone says the same.
    found = find_symptoms(run.folder.lines(), config.recipe.epochs, probabilities=True)
    assert {each.name: each.epoch for each in found} == status["symptoms"]


def test_a_run_that_fails_is_marked_as_diverged(tmp_path: Path) -> None:
    huge = {"loss": "wasserstein", "generator_lr": 1e30, "discriminator_lr": 1e30}
    config = configure("vanilla_gan", "digits", epochs=2, epoch_updates=4, samples=100, thorough=False, **huge)
    with pytest.raises(Diverged):
        train(config, runs_dir=tmp_path, track=False, pictures="none", listener=(heard := Heard()))
    from benchmarks.run_folder.folder import list_run_folders

    (folder,) = list_run_folders(tmp_path)
    assert folder.status()["symptoms"] == {DIVERGENCE: 1}
    # The failure itself is said by whoever asked for the run, so the mark is not said as well.
    assert heard.said == []
