"""The command lines, from end to end: train on real digits, read the run back from MLflow, build the report, refuse."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from benchmarks import Run, load_run
from benchmarks.datasets import DATASETS
from benchmarks.run import main as command
from benchmarks.run_folder.folder import list_run_folders
from reports.build import main as build
from tests.conftest import ROOT, Done
from tests.ctrl_c import press_after_epoch_2
from variants import VARIANTS
from variants.losses import LOSSES
from variants.noise import NOISES
from variants.recipe import FIELDS

QUICK = "--dataset digits --epochs 3 --epoch-updates 4 --samples 200 --quick-metrics".split()


def started(*words: str, folder: Path) -> Done:
    """A command as a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


class Trained(NamedTuple):
    """What the main job left, with the default store beside its runs."""

    folder: Path
    done: Done

    @property
    def run(self) -> Run:
        (kept,) = list_run_folders(self.folder / "runs")
        return load_run(kept.path)

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"


@pytest.fixture(scope="session")
def main_job(shared_folder: Path) -> Trained:
    """The real command, once for all workers of the test session."""
    folder = shared_folder / "main-job"
    with FileLock(shared_folder / "main-job.lock"):
        said = folder / "said.json"
        if not said.exists():
            folder.mkdir(exist_ok=True)
            done = started("-m", "benchmarks.run", "--variant", "cgan_mlp", *QUICK, folder=folder)
            said.write_text(json.dumps(done))
    return Trained(folder, Done(*json.loads(said.read_text())))


def test_the_main_job_says_what_it_measured_and_where_it_is(main_job: Trained) -> None:
    code, out, err = main_job.done
    assert (code, err) == (0, "")
    run = main_job.run
    for name, value in run.metrics.items():
        row = next(line for line in out.splitlines() if re.search(rf"[│|] {name} ", line))
        assert f" {value:.4g} " in row
        assert f" {run.folder.reference()[name]:.4g} " in row
    assert f"run folder: runs/{run.path.name}\n" in out
    assert f"mlflow ui --backend-store-uri {main_job.tracking_uri}\n" in out
    assert [line for line in out.splitlines() if line.startswith("epoch    3  fid ")]


def test_the_main_job_is_whole_in_mlflow(main_job: Trained) -> None:
    from mlflow import MlflowClient

    client, ours = MlflowClient(main_job.tracking_uri), main_job.run
    (experiment,) = [each for each in client.search_experiments() if each.name == "gan-benchmark"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == ours.path.name
    assert run.info.status == "FINISHED"

    recipe = ours.config.recipe.as_dict()
    assert {name: run.data.params.get(name) for name in FIELDS} == {name: str(recipe[name]) for name in FIELDS}
    assert run.data.params["seed"] == "0"
    wanted = {"variant": "cgan_mlp", "dataset": "digits", "seed": "0", "recipe": "small", "device": "cpu"}
    assert {name: run.data.tags.get(name) for name in wanted} == wanted
    assert run.data.tags["extractor"] == f"digits {ours.config.extractor[:8]}"
    assert run.data.tags["code"] == ours.folder.environment()["code"]

    lines = ours.folder.lines()
    for key, section, name in [
        ("fid", "metrics", "fid"),
        ("accuracy_class_7", "metrics", "accuracy_class_7"),
        ("training/generator_loss", "curves", "generator_loss"),
        ("training/d_fake", "curves", "d_fake"),
    ]:
        history = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)]
        told = [(line["epoch"], line[section][name]) for line in lines if name in line.get(section, {})]
        assert len(told) >= 3
        assert sorted(history) == told
    assert run.data.tags["reference.fid"] == f"{ours.folder.reference()['fid']:.6g}"

    assert f"get-artifact?path=samples.gif&run_uuid={run.info.run_id})" in run.data.tags["mlflow.note.content"]
    assert f"```sh\n{ours.folder.environment()['command']}\n```" in run.data.tags["mlflow.note.content"]

    def artifacts(path: str = "") -> set[str]:
        return {file.path for file in client.list_artifacts(run.info.run_id, path)}

    assert artifacts() >= {
        *("config.json", "metrics.jsonl", "generator.safetensors"),
        *("samples.gif", "losses.png", "networks.png", "images"),
    }
    pictures = [re.fullmatch(r"images/samples\+step\+(\d+)\+.*\.png", path) for path in artifacts("images")]
    assert sorted(int(match[1]) for match in pictures if match) == [0, 1, 2, 3]

    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "digits"
    assert ours.config.checksum.startswith(data.dataset.digest)


@pytest.mark.parametrize("process", ["this one", pytest.param("one of its own", marks=pytest.mark.long)])
def test_a_report_is_built_from_what_is_in_mlflow(
    process: str, main_job: Trained, called: Callable[..., Done], tmp_path: Path
) -> None:
    where = ["--tracking-uri", main_job.tracking_uri]
    done = called(build, *where) if process == "this one" else started("-m", "reports.build", *where, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    out = tmp_path / "reports" / "out"
    text = (out / "index.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "cgan" in line.replace("\\", "")]
    assert any(f"{main_job.run.metrics['fid']:.4g}" in row for row in rows)
    assert any(f"{main_job.run.folder.reference()['fid']:.4g}" in line for line in text.splitlines())
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert {Path(name).suffix for name in pictures} == {".svg", ".png"}
    assert [name for name in pictures if not (out / name).stat().st_size > 1000] == []
    assert json.loads((main_job.run.path / "mlflow.json").read_text())[main_job.tracking_uri]["run_id"] in text


def test_the_same_command_finds_the_run_and_retrain_does_it_again(
    main_job: Trained, called: Callable[..., Done], tmp_path: Path
) -> None:
    shutil.copytree(main_job.folder / "runs", tmp_path / "runs")
    (folder,) = list_run_folders(tmp_path / "runs")
    journal, id_ = (folder.path / "metrics.jsonl").read_bytes(), folder.id
    same = ["--variant", "cgan_mlp", *QUICK, "--no-tracking"]

    found = called(command, *same)
    assert found.code == 0
    assert f"already trained, here: runs/{folder.name} (--retrain does it again)\n" in found.out
    assert (folder.path / "metrics.jsonl").read_bytes() == journal

    again = called(command, *same, "--retrain")
    assert again.code == 0
    assert "already trained" not in again.out
    assert folder.id != id_
    assert len(list_run_folders(tmp_path / "runs")) == 1
    status = folder.status()
    assert (status["state"], status["epoch"]) == ("FINISHED", 3)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("process", ["this one", pytest.param("one of its own", marks=pytest.mark.long)])
def test_ctrl_c_leaves_a_run_that_the_same_command_goes_on_with(
    process: str,
    main_job: Trained,
    called: Callable[..., Done],
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    from benchmarks.tracking.upload import sync

    same = ["--variant", "cgan_mlp", *QUICK, "--tracking-uri", tracking_uri]
    if process == "this one":
        with monkeypatch.context() as patched:
            press_after_epoch_2(patched.setattr)
            stopped = called(command, *same)
    else:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        stopped = started("-m", "tests.ctrl_c", *same, folder=tmp_path)
    assert stopped.code == 130
    assert stopped.err.splitlines() == ["stopped; what was finished is kept"]
    (folder,) = list_run_folders(tmp_path / "runs")
    assert folder.status()["state"] == "KILLED"
    # Epoch 2 is in the journal, but was stopped before its checkpoint: it will be trained again.
    assert [line["epoch"] for line in folder.lines()] == [0, 1, 2]

    def in_mlflow() -> tuple[str, str, list[int]]:
        client = MlflowClient(tracking_uri)
        (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "training/generator_loss")]
        return run.info.run_id, run.info.status, sorted(steps)

    if "nothing is lost" in stopped.out:
        # On a busy machine it did not arrive in time, and whoever presses Ctrl-C is not kept waiting.
        sync(folder, tracking_uri)
    run_id, *rest = in_mlflow()
    assert rest == ["KILLED", [1]]

    goes_on = called(command, *same)
    assert goes_on.code == 0
    assert "going on after epoch 1, from the last checkpoint" in goes_on.out
    assert in_mlflow() == (run_id, "FINISHED", [1, 2, 3])
    assert (folder.path / "generator.safetensors").read_bytes() == (
        main_job.run.path / "generator.safetensors"
    ).read_bytes()


def test_a_loss_that_is_not_finite_ends_the_run_and_is_told(called: Callable[..., Done], tracking_uri: str) -> None:
    from mlflow import MlflowClient

    done = called(
        command,
        *("--variant", "vanilla_gan", *QUICK, "--loss", "wasserstein", "--tracking-uri", tracking_uri),
        *("--generator-lr", "1e30", "--discriminator-lr", "1e30"),
    )
    assert done.code == 1
    cause = r"discriminator_loss is (nan|inf|-inf) in epoch 1"
    assert re.search(rf"^failed: {cause}; its curves are kept in runs/vanilla_gan-digits-s0-", done.out, re.MULTILINE)
    assert "Traceback" not in done.out + done.err
    (folder,) = list_run_folders("runs")
    assert folder.status()["state"] == "FAILED"
    assert re.fullmatch(cause, folder.status()["cause"])
    assert not math.isfinite(folder.lines()[-1]["curves"]["discriminator_loss"])
    client = MlflowClient(tracking_uri)
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert run.info.status == "FAILED"
    assert run.data.tags["cause"] == folder.status()["cause"]
    assert "training/generator_loss" in run.data.metrics


def test_several_seeds_are_several_runs(called: Callable[..., Done]) -> None:
    done = called(
        command, "--variant", "vanilla_gan", *QUICK, "--pictures", "none", "--no-tracking", "--seeds", "3", "5"
    )
    assert done.code == 0
    assert [folder.config().seed for folder in list_run_folders("runs")] == [3, 5]


def nothing_was_left(folder: Path) -> bool:
    return not any((folder / name).exists() for name in ("runs", "mlflow.db", "mlruns"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--variant cgan_mpl", "unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'? (--list shows all)"),
        ("--dataset digit", "unknown dataset 'digit'; did you mean 'digits'? (--list shows all)"),
        ("--noise gausian", "unknown noise 'gausian'; did you mean 'gaussian'? (--list shows all)"),
        ("--loss saturated", "unknown loss 'saturated'; did you mean 'saturating'? (--list shows all)"),
        ("--recipe reprot", "unknown recipe of cgan_mlp 'reprot'; did you mean 'report'? (it has default,"),
        ("--optimizer adm", "--optimizer is one of adam, sgd, not 'adm'"),
        ("--epoch 3", "unknown option --epoch; did you mean --epochs? (--help shows all options)"),
        ("digits", "unexpected 'digits'; options begin with --"),
        ("--epochs 0", "--epochs is at least 1, not 0"),
        ("--epochs -3", "--epochs is at least 1, not -3"),
        ("--epochs many", "argument --epochs: it is a whole number, not 'many'"),
        ("--generator-lr nan", "--generator-lr is a number, not nan"),
        ("--batch-size 5000", "--batch-size 5000 is more than the 899 examples of digits"),
        ("--seeds 1 2 1", "--seeds has 1 twice; a seed is one run"),
        ("--samples 1", "--samples is at least 2, not 1"),
        ("--threads -1", "--threads is at least 0, not -1"),
        ("--device tpu", "this machine has no device 'tpu'; it has cpu"),
        ("--cuda-graphs", "--cuda-graphs needs --device cuda, and this is cpu"),
        ("--pictures some", "unknown choice of pictures 'some'"),
        ("--sigma 0.1", "--sigma does not apply to the dataset digits"),
        ("--variant vanilla_gan --conditioning channel", "--conditioning does not apply to vanilla_gan"),
        ("--variant dcgan --dataset ring8", "dcgan cannot be trained on data of shape (2,): convolutions need images"),
        ("--dataset folder:/nowhere", "there is no folder /nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    called: Callable[..., Done], own_folder: Path, words: str, sentence: str
) -> None:
    done = called(command, *QUICK, *words.split())
    assert done.code == 2
    assert done.err.startswith(f"error: {sentence}")
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert nothing_was_left(own_folder)


def test_a_mistake_is_told_by_the_real_command_before_it_imports_torch(tmp_path: Path) -> None:
    done = started("-X", "importtime", "-m", "benchmarks.run", "--variant", "cgan_mpl", folder=tmp_path)
    assert done.code == 2
    said = [line for line in done.err.splitlines() if not line.startswith("import time:")]
    assert said == ["error: unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'? (--list shows all)"]
    assert not re.search(r"\| +torch$", done.err, re.MULTILINE)
    assert nothing_was_left(tmp_path)


def test_damaged_data_is_named(called: Callable[..., Done], tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"\0\0\x08\x03 half a down")
    done = called(command, "--dataset", "mnist", "--data-dir", "data")
    assert done.code == 2
    assert re.fullmatch(r"error: \S*train-images-idx3-ubyte.*\n", done.err)
    assert "delete" in done.err or "remove" in done.err
    assert done.out == ""
    assert nothing_was_left(tmp_path)


def test_list_shows_every_name_with_a_line_of_its_own(called: Callable[..., Done], own_folder: Path) -> None:
    done = called(command, "--list")
    assert (done.code, done.err) == (0, "")
    for name in (*VARIANTS, *DATASETS, *LOSSES, *NOISES):
        assert re.search(rf"^  {name} +\S.*", done.out, re.MULTILINE), name
    assert nothing_was_left(own_folder)


def test_help_shows_every_field_of_the_recipe(tmp_path: Path) -> None:
    done = started("-m", "benchmarks.run", "--help", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    options = set(re.findall(r"^  (--[a-z0-9-]+)", done.out, re.MULTILINE))
    assert {"--" + name.replace("_", "-") for name in FIELDS} <= options
    assert {"--variant", "--dataset", "--seeds", "--retrain", "--data-dir", "--tracking-uri", "--list"} <= options
