"""Rectangular images, the whole way: each variant trains on them, or refuses before anything is trained."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.run import main as run
from benchmarks.run_folder.folder import RunFolder, list_run_folders
from benchmarks.sample import main as sample
from benchmarks.show import main as show
from reports.build import main as build
from tests.conftest import Done
from tests.datasets_on_disk import write_folder
from variants import VARIANTS, load_variant

Called = Callable[..., Done]
WORDS = "--epochs 1 --epoch-updates 2 --batch-size 8 --samples 20 --quick-metrics --no-tracking".split()


@pytest.fixture(autouse=True)
def quick_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier of three updates, which is as often wrong as right."""
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)


def trained(called: Called, *words: str) -> RunFolder:
    done = called(run, *words, *WORDS)
    assert done.code == 0, done.err
    (folder,) = list_run_folders("runs")
    assert folder.status()["state"] == "FINISHED"
    return folder


LABELLED = sorted(name for name in VARIANTS if "text" not in load_variant(name).conditionings)


@pytest.mark.parametrize("variant", LABELLED)
def test_each_variant_trains_on_rectangles(variant: str, called: Called) -> None:
    write_folder(Path("own"), count=40)
    folder = trained(called, "--variant", variant, "--dataset", "folder:own", "--image-size", "16x24")
    assert {"fid", "kid", "precision"} <= set(folder.lines()[-1]["metrics"])
    with Image.open(folder.path / "samples" / "epoch_001.png") as grid:
        assert grid.width > grid.height / 5  # ten rows of 16 by two columns, or ten, of 24


@pytest.mark.long
@pytest.mark.parametrize("variant", LABELLED)
def test_rectangles_that_cannot_be_halved_are_for_linear_layers(variant: str, called: Called) -> None:
    write_folder(Path("own"), count=40)
    recipe = load_variant(variant).recipe("default")
    words = ("--variant", variant, "--dataset", "folder:own", "--image-size", "15x22")
    if {recipe.generator_layers, recipe.discriminator_layers} != {"linear"}:
        done = called(run, *words, *WORDS)
        assert (done.code, "Traceback" in done.err) == (2, False)
        assert "convolutional layers need images with even sides above 4, not 15×22" in done.err
        assert "classifier" not in done.err
        assert not Path("runs").exists()
    else:
        trained(called, *words)


def test_a_rectangle_is_shown_repeated_sampled_and_reported_as_it_was_asked_for(called: Called) -> None:
    write_folder(Path("own"), (".",), count=40)
    words = ("--variant", "vanilla_gan", "--dataset", "folder:own", "--image-size", "12x20")
    folder = trained(called, *words)
    shown = called(show, str(folder.path)).out
    assert "image_size 12x20" in shown
    line = shown.splitlines()[shown.splitlines().index("to run it again") + 1]
    assert "--image-size 12x20" in line
    again = called(run, *shlex.split(line)[3:], "--no-tracking")
    assert "already trained" in again.out, again.err
    assert called(sample, "--run", str(folder.path), "--count", "4", "--out", "four.png").code == 0
    assert called(build, "--runs-dir", "runs", "--out", "report").code == 0
    text = Path("report/index.md").read_text()
    assert "own has no class folders: its images have no labels" in text


def test_an_unlabelled_folder_is_refused_by_a_conditional_variant_before_anything_is_trained(called: Called) -> None:
    write_folder(Path("own"), (".",), count=40)
    done = called(run, "--variant", "cgan_mlp", "--dataset", "folder:own", *WORDS)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "cgan_mlp needs labels, and this dataset has none; take vanilla_gan or dcgan" in done.err
    assert not Path("runs").exists()
    assert not Path("data/extractors").exists()


@pytest.mark.parametrize("size", ["28*40", "28x", "x28", "28x40x3", "wide"])
def test_a_size_that_is_none_is_refused(size: str, called: Called) -> None:
    done = called(run, "--dataset", "digits", "--image-size", size)
    assert done.code == 2
    assert f"it is a whole number, or two with an x between them, not '{size}'" in done.err
