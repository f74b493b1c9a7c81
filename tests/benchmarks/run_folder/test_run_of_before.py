"""A run folder from before the code was divided into rooms is read by today's code as it was by its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.inference.run import Run
from benchmarks.run_folder.folder import RunFolder, list_run_folders
from benchmarks.run_folder.symptoms import describe_symptoms, find_symptoms
from reports.build import main as build
from tests.conftest import ROOT, Done

NAME = "cgan_mlp-digits-s7-3c6ec8a4"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Copies the run, so that no test can change it."""
    shutil.copytree(ROOT / "tests" / "data" / "run_of_before", tmp_path / "runs")
    (found,) = list_run_folders(tmp_path / "runs")
    return found


def test_its_config_has_the_key_that_names_it(folder: RunFolder) -> None:
    config = folder.config()
    assert folder.name == config.name == NAME
    assert config.key == "3c6ec8a4caec4b520ba6e948c4993e7599804eacaac7e2dffb71c74f55348721"
    assert (config.variant, config.dataset.name, config.seed, config.samples) == ("cgan_mlp", "digits", 7, 200)
    assert (config.recipe.epochs, config.recipe.epoch_updates) == (2, 5)
    assert (config.recipe.generator_widths, config.recipe.discriminator_widths) == ((16, 32), (32, 16))
    assert (config.thorough, config.probes) == (False, ("generalization_gap", "label_use"))
    assert folder.id == "5b59de32d04d057f"


def test_its_journal_status_and_facts_are_read(folder: RunFolder) -> None:
    lines = folder.lines()
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines[0]["metrics"]["fid"] == 110.11767838976658
    assert lines[2]["curves"]["generator_loss"] == 0.696562647819519
    assert {"metrics", "curves", "timing"} <= lines[2].keys()
    assert (folder.status()["state"], folder.status()["epoch"]) == ("FINISHED", 2)
    assert [(each.name, each.epoch) for each in find_symptoms(lines, 2, probabilities=True)] == [("collapse", 2)]
    assert describe_symptoms(folder.status()) == "collapse in epoch 2"
    assert folder.facts()["parameters"] == {"generator": 4580, "discriminator": 3045}
    assert folder.facts()["class_names"] == [str(digit) for digit in range(10)]
    assert folder.real_data().startswith("200 examples of the reference, drawn at random")
    assert (folder.absent(), folder.notes(), folder.protocol_version) == ({}, [], 2)
    assert folder.reference()["fid"] == 0.5126806322759592
    assert folder.environment()["device"] == "cpu"


def test_its_checkpoint_and_its_generator_are_read_and_sampled_as_they_were(folder: RunFolder) -> None:
    tensors, state = folder.load_checkpoint()
    assert state["epoch"] == folder.checkpoint_epoch() == 2
    assert tensors
    samples = Run(folder).generate(labels=list(range(10)), seed=0)
    assert samples.shape == (10, 1, 8, 8)
    # Row 2 of the sample of class 3, as the code of before drew it.
    drawn = [0.138831, -0.434875, -0.252484, 0.059860, -0.269118, -0.231438, -0.006249, -0.175646]
    assert samples[3, 0, 2].tolist() == pytest.approx(drawn, abs=1e-5)


def test_a_report_counts_it(folder: RunFolder, tmp_path: Path, called: Callable[..., Done]) -> None:
    done = called(build, "--runs-dir", str(folder.path.parent), "--out", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert "1 finished runs of 1 found, in 1 comparable group" in done.out
    assert NAME in (tmp_path / "out" / "index.md").read_text()
