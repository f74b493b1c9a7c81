"""What a user can get wrong and no other test does: each is told in one sentence, with exit code 2, and why."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks import configure
from benchmarks.algorithm.device import check_precision
from benchmarks.config import DatasetConfig
from benchmarks.datasets import images, load
from benchmarks.evaluation.classifiers import train_extractor
from benchmarks.executors import RunOptions
from benchmarks.executors import ray as on_ray
from benchmarks.inference.find import load_run
from benchmarks.pictures.samples import write_picture
from benchmarks.questions.presets import QUICK, SMOKE
from benchmarks.run import main as run
from benchmarks.run_folder.folder import CONFIG, FACTS, RunFolder
from benchmarks.suite import main as suite
from benchmarks.suites.plan import make_plan
from benchmarks.suites.tuned_settings import tuning_file
from benchmarks.sync import main as sync
from benchmarks.timing import stock
from benchmarks.timing.cases import Case
from benchmarks.timing.processes import Process
from benchmarks.timing.training import measure_training
from benchmarks.tune import main as tune
from reports.build import main as build
from tests.conftest import Done
from variants import UserError


@pytest.mark.parametrize(
    ("variant", "dataset", "fields", "sentence"),
    [
        (
            "cgan_mlp",
            "ring8",
            {"conditioning": "channel"},
            "--conditioning channel needs images, not points of the plane; take embedding",
        ),
        (
            "dcgan",
            "digits",
            {"generator_widths": ()},
            "--generator-widths is empty; a convolutional generator needs at least one",
        ),
        (
            "dcgan",
            "digits",
            {"discriminator_widths": ()},
            "--discriminator-widths is empty; a convolutional discriminator needs at least one",
        ),
        (
            "cgan_mlp",
            "digits",
            {"loss": "hinge", "matching_aware": True},
            "--matching-aware adds to cross-entropy, which --loss hinge has not; take saturating, non_saturating",
        ),
        (
            "vanilla_gan",
            "digits",
            {"weight_clip": 0.01, "discriminator_normalization": "spectral"},
            "--weight-clip and spectral normalisation both bound the weights; take one of them",
        ),
        (
            "cgan_mlp",
            "digits",
            {"pack": 2, "replay": 0.5},
            "--replay would tear apart the packs of one label that --pack makes; take one of them",
        ),
        (
            "vanilla_gan",
            "digits",
            {"loss": "relativistic", "replay": 0.5},
            "--replay has no pairs of real and fake for --loss relativistic; take another loss",
        ),
    ],
)
def test_what_no_recipe_can_be(variant: str, dataset: str, fields: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        configure(variant, dataset, **fields)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        (
            run,
            "--variant vanilla_gan --precision float16",
            "unknown precision 'float16'; did you mean 'bfloat16'? (it is one of float32, tf32, bfloat16)",
        ),
        pytest.param(
            suite,
            "--preset smoke --executor ray --stack on",
            "--executor ray trains each seed as a task of its own; leave out --stack on",
            marks=pytest.mark.skipif(find_spec("ray") is None, reason="without Ray, that is what is refused"),
        ),
        (suite, "--preset smoke --plan --seeds -1", "--seeds is at least 1, not -1"),
        (tune, "--preset smoke", "the preset smoke is not tuned"),
        (sync, "", "there are no runs in runs; train one with python -m benchmarks.run, or name another folder"),
        (sync, "nope", "unknown run 'nope'; it is not in runs"),
    ],
)
def test_what_no_command_takes(
    called: Callable[..., Done], command: Callable[[], int | None], words: str, sentence: str
) -> None:
    Path("runs").mkdir()
    done = called(command, *words.split())
    assert (done.code, done.err) == (2, f"error: {sentence}\n")


def test_mlflow_without_runs(called: Callable[..., Done], tracking_uri: str) -> None:
    done = called(build, "--tracking-uri", tracking_uri)
    assert done.code == 2
    assert done.err.startswith(f"error: there are no runs in MLflow at {tracking_uri}; train one with ")


def test_a_run_without_threads() -> None:
    with pytest.raises(UserError, match=r"^a run has at least 1 thread, not -1$"):
        RunOptions(Path("runs"), None, threads=-1)


def test_a_device_that_cannot() -> None:
    with pytest.raises(UserError, match=r"^the device 'mps' does not train in bfloat16; take --precision float32$"):
        check_precision("bfloat16", torch.device("mps"))
    with pytest.raises(UserError, match=r"^the device 'cpu' does not train in tf32; take --precision float32$"):
        check_precision("tf32", torch.device("cpu"))


def test_digits_without_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^the digits come with scikit-learn, .*; pip install scikit-learn$"):
        images._read_digits()


# Plans


def test_a_preset_without_images_takes_no_other_ones() -> None:
    points = replace(SMOKE, budgets={"points": SMOKE.budgets["points"]})
    with pytest.raises(UserError, match=r"^the preset smoke has no images, so --dataset would change nothing$"):
        make_plan(points, dataset="mnist")


def test_a_plan_needs_the_seconds_that_tuning_measures() -> None:
    arms = json.loads(tuning_file("quick").read_text())["arms"]
    with pytest.raises(
        UserError, match=r"^the arm ([\w-]+) was not timed; python .* --preset quick --arms \1 times it$"
    ):
        make_plan(QUICK, ["critic_steps"], tuned={"arms": arms})


def test_a_threshold_needs_the_arm_that_sets_it() -> None:
    arms = json.loads(tuning_file("quick").read_text())["arms"]
    without = {name: {k: v for k, v in arm.items() if k != "quality"} for name, arm in arms.items()}
    with pytest.raises(
        UserError, match=r"^the arm ([\w-]+) sets a threshold and .* --preset quick --arms \1 tunes it$"
    ):
        make_plan(QUICK, ["noise_distribution"], tuned={"arms": without})


# Run folders


def test_a_folder_that_holds_another_run() -> None:
    mine, other = (configure("vanilla_gan", "ring8", seed=seed) for seed in (0, 1))
    RunFolder.create("runs", other).path.rename(Path("runs", mine.name))
    with pytest.raises(UserError, match=r"already holds another run; move it away, or choose another --runs-dir$"):
        RunFolder.create("runs", mine)


def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create("runs", configure("vanilla_gan", "ring8"))

    def broken(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(UserError) as refused:
        folder.config()
    assert str(refused.value) == f"cannot read {folder.path / CONFIG}: Input/output error"


def test_a_run_that_was_never_trained() -> None:
    folder = RunFolder.create("runs", configure("vanilla_gan", "ring8"))
    with pytest.raises(UserError, match=r"has no facts\.json, so it was never trained; run it first$"):
        _ = load_run(folder.path).spec


@pytest.mark.long
def test_a_run_on_captions_of_other_words(mnist_dir: Path) -> None:
    folder = RunFolder.create("runs", configure("dcgan_text", "captions_mnist", data_dir=mnist_dir))
    spec = {"shape": [1, 28, 28], "bounded": True, "classes": 10, "vocabulary": ["cat", "dog"]}
    folder.write_json(FACTS, {"spec": spec})
    with pytest.raises(UserError, match=r"was trained on captions of other words, which no prompt can name$"):
        load_run(folder.path).condition(1, prompt="cat")


# Files that a command was asked to write


def test_a_picture_that_cannot_be_written() -> None:
    with pytest.raises(UserError, match=r"^cannot write nowhere/grid\.png: No such file or directory$"):
        write_picture("nowhere/grid.png", b"")


def test_a_classifier_that_cannot_be_written() -> None:
    Path("file").touch()
    with pytest.raises(UserError, match=r"^cannot write file/judge\.safetensors: .*; choose another folder$"):
        train_extractor(
            load(DatasetConfig("digits")), Path("file/judge.safetensors"), seed=0, updates=1, say=lambda line: None
        )


# Timing


def test_a_process_that_is_killed_while_it_is_timed() -> None:
    process = Process("Ours", Case("vanilla_gan", "ring8"))
    process._process.kill()
    try:
        with pytest.raises(UserError) as refused:
            process.ask("facts")
    finally:
        process.end()
    what = "the process that timed Ours of vanilla_gan on ring8 ended unexpectedly"
    assert str(refused.value) == f"{what}, with exit status {-signal.SIGKILL}"


def test_stacked_images_have_no_stock_loop(mnist_dir: Path) -> None:
    stacked = load(DatasetConfig("stacked_mnist"), mnist_dir)
    with pytest.raises(UserError, match=r"^the stock loop reads images and points of the plane, not stacked images"):
        stock.make_loader(stacked.train, 128)


@pytest.mark.long
def test_nothing_is_left_to_be_timed() -> None:
    said: list[str] = []
    with pytest.raises(UserError, match=r"^nothing is left to be timed$"):
        measure_training([Case("dcgan_text", "digits")], against_stock=False, skip_refused=True, say=said.append)
    assert any("dcgan_text on digits is left out: " in line for line in said)


# Clusters


def test_a_cluster_that_cannot_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def nothing_there(**_: object) -> None:
        raise ConnectionError("Could not find any running\nRay instance.")

    monkeypatch.setattr(ray, "init", nothing_there)
    with pytest.raises(UserError) as refused:
        on_ray.join_cluster("auto", 0)
    told = "Could not find any running Ray instance."
    assert str(refused.value) == f"the Ray cluster at auto cannot be joined: {told}"


def test_a_machine_with_another_version() -> None:
    settings = RunOptions(Path("runs"), None)
    config = configure("vanilla_gan", "ring8")
    with pytest.raises(UserError, match=r"^a machine of the cluster has another version of this project; install the "):
        on_ray._train(config, settings, (), "another", (), "", [])
