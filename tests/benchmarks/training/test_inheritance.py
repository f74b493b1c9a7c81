"""A run that goes on from a finished one: the bits of one long run, another recipe, and what is refused."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import Run, configure, load_run, train
from benchmarks.config import RunConfig
from benchmarks.run import main as command
from benchmarks.run_folder.folder import RunFolder, list_run_folders
from benchmarks.show import main as show
from benchmarks.tracking.upload import sync
from benchmarks.training.inheritance import NOTE, load_parent
from benchmarks.training.loop import Training
from benchmarks.training.options import RunOptions
from tests.conftest import Done
from variants import UserError

TINY = {"epoch_updates": 3, "samples": 40, "thorough": False, "evaluate_every": 2, "probes": ()}
SMALL = {"batch_size": 16, "noise_size": 6, "generator_widths": (12,), "discriminator_widths": (10,), "averaging": 0.0}


def trained(
    folder: Path,
    variant: str = "cgan_mlp",
    dataset: str = "digits",
    parent: Run | None = None,
    pictures: str = "none",
    **fields,
) -> Run:
    config = configure(
        variant, dataset, parent=None if parent is None else parent.config, **{**TINY, **SMALL, **fields}
    )
    return train(config, runs_dir=folder, track=False, pictures=pictures, keep_checkpoint=True)


def result(run: Run, after: int = 0) -> tuple[list[dict], bytes, bytes, list[bytes]]:
    """The journal after an epoch but for its clock, the generator, the whole state of training, and the pictures."""
    lines = [{k: v for k, v in line.items() if k != "timing"} for line in run.folder.lines() if line["epoch"] > after]
    files = [(run.path / f"{name}.safetensors").read_bytes() for name in ("generator", "checkpoint")]
    return lines, *files, [path.read_bytes() for epoch, path in run.folder.pictures().items() if epoch > after]


REMEDIES = [
    ("cgan_mlp", "digits", {}),
    ("vanilla_gan", "ring8", {"replay": 0.5, "replay_size": 60}),
    ("cgan_mlp", "digits", {"replay": 0.5, "replay_size": 20, "averaging": 0.9}),
    ("separate_gans", "digits", {"optimizer": "sgd", "beta1": 0.5}),
    pytest.param("cgan_conv", "digits", {}, marks=pytest.mark.long),
    pytest.param(
        "dcgan", "digits", {"discriminator_normalization": "spectral", "dropout": 0.2}, marks=pytest.mark.long
    ),
    pytest.param("dcgan_text", "captions_digits", {"embedding_size": 5}, marks=pytest.mark.long),
]


@pytest.mark.long
@pytest.mark.parametrize(("variant", "dataset", "fields"), REMEDIES, ids=lambda value: str(value).replace(" ", ""))
def test_two_epochs_and_two_more_are_four_to_the_bit(variant: str, dataset: str, fields: dict, tmp_path: Path) -> None:
    fields = {**fields, "pictures": "none" if fields else "milestones"}
    whole = trained(tmp_path / "whole", variant, dataset, epochs=4, **fields)
    first = trained(tmp_path / "runs", variant, dataset, epochs=2, **fields)
    second = trained(tmp_path / "runs", variant, dataset, parent=first, epochs=4, **fields)
    assert result(second) == result(whole, after=2)
    assert [line["epoch"] for line in second.folder.lines()] == [3, 4]
    assert second.path != first.path
    assert not [note for note in second.folder.notes() if note.startswith(NOTE)]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("runs"), epochs=2)


@pytest.fixture
def parent(first: Run, own_folder: Path) -> Run:
    """A run of two epochs in the folder runs/ of the test."""
    return load_run(shutil.copytree(first.path, own_folder / "runs" / first.path.name))


def test_a_finished_run_keeps_its_last_checkpoint_only_if_it_is_asked_to(parent: Run, tmp_path: Path) -> None:
    assert parent.folder.checkpoint_epoch() == 2
    assert not (parent.path / "checkpoint-previous.safetensors").exists()
    # Whoever finds it leaves it.
    found = train(parent.config, runs_dir=tmp_path / "runs", track=False)
    assert found.found
    assert parent.folder.checkpoint_epoch() == 2
    other = train(parent.config, runs_dir=tmp_path / "other", track=False, pictures="none")
    assert not list(other.path.glob("checkpoint*"))
    generators = [(run.path / "generator.safetensors").read_bytes() for run in (parent, other)]
    assert generators[0] == generators[1]


def test_the_parent_is_a_part_of_the_config_and_its_absence_is_none(parent: Run) -> None:
    config = configure("cgan_mlp", "digits", epochs=4, **TINY, **SMALL)
    child = configure("cgan_mlp", "digits", epochs=4, parent=parent.config, **TINY, **SMALL)
    assert child == replace(config, parent=f"{parent.config.name}:{parent.config.key}")
    assert child.key != config.key
    assert "parent" not in config.as_dict(neutral=False)
    assert RunConfig.from_dict(child.as_dict()) == child
    for hostile in ("../run:" + 64 * "0", ".run:" + 64 * "0", "run:" + 63 * "0", "run", 3):
        with pytest.raises(UserError, match=r"^a parent is given as name:SHA-256, not "):
            replace(config, parent=hostile)


def test_an_interrupted_run_goes_on_from_its_own_checkpoint_though_its_parent_is_gone(
    parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    fields = {"epochs": 5, "optimizer": "sgd", "beta1": 0.5}
    shutil.copytree(parent.path, tmp_path / "whole" / parent.path.name)
    whole = trained(tmp_path / "whole", parent=parent, **fields)
    complete, done = Training.complete, []

    def stopped(training: Training, epoch: int, measured: dict) -> None:
        if epoch == 4:
            raise KeyboardInterrupt
        done.append(epoch)
        complete(training, epoch, measured)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "complete", stopped)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "runs", parent=parent, **fields)
    assert done == [3]
    shutil.rmtree(parent.path)
    (folder,) = list_run_folders(tmp_path / "runs")
    options = {"pictures": "none", "keep_checkpoint": True}
    resumed = train(folder.config(), runs_dir=tmp_path / "runs", track=False, **options)
    assert result(resumed) == result(whole)
    # What begins anew is still told.
    told = "its optimisers begin anew (adam before, sgd now)"
    assert resumed.folder.notes() == [f"{NOTE}{parent.config.name}: {told}"]


def test_another_recipe_begins_anew_only_with_what_it_keeps_otherwise(parent: Run, tmp_path: Path) -> None:
    fields = {"epochs": 3, "generator_lr": 1e-3, "loss": "hinge", "averaging": 0.5, "replay": 0.5, "replay_size": 30}
    child = trained(tmp_path / "runs", parent=parent, **fields)
    told = "its averaged weights begin with those of the parent's last epoch"
    assert child.folder.notes() == [f"{NOTE}{parent.config.name}: {told}"]
    kept, _ = child.folder.load_tensors("checkpoint.safetensors")
    # Adam's count goes on: two epochs of three updates, and three more.
    assert kept["generator_optimizer.0.step"].item() == 9
    again = trained(tmp_path / "runs", parent=child, **{**fields, "epochs": 4, "replay_size": 40})
    (note,) = again.folder.notes()
    assert note.endswith(": its replayed fakes begin anew (room for 30 before, 40 now)")


def test_other_code_and_other_data_are_told(parent: Run, tmp_path: Path) -> None:
    parent.folder.write_environment({**parent.folder.environment(), "code": "0" * 64})
    config = configure("cgan_mlp", "digits", parent=parent.config, epochs=3, **TINY, **SMALL, data_dir=tmp_path)
    child = train(config, runs_dir=tmp_path / "runs", track=False, pictures="none")
    assert child.folder.notes() == [f"{NOTE}{parent.config.name}: its parent was trained by other code"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("gone", r"^the run NAME, from which this one goes on, is not in \S*runs$"),
        ("no checkpoint", r"NAME keeps no checkpoint, as no run of a suite does and none from before they were kept; "),
        ("unfinished", r"^NAME is KILLED, and only a finished run can be gone on from$"),
        ("another", r"NAME does not hold the run NAME, from which this one goes on$"),
        ("damaged", r"checkpoint.safetensors is damaged: its checksum does not fit it$"),
    ],
)
def test_a_parent_that_cannot_be_gone_on_from_is_refused_before_anything_is_written(
    damage: str, sentence: str, parent: Run, tmp_path: Path
) -> None:
    config = configure("cgan_mlp", "digits", parent=parent.config, epochs=3, **TINY, **SMALL)
    checkpoint = parent.path / "checkpoint.safetensors"
    if damage == "gone":
        shutil.rmtree(parent.path)
    elif damage == "no checkpoint":
        checkpoint.unlink()
    elif damage == "unfinished":
        parent.folder.set_status("KILLED", epoch=2)
    elif damage == "another":
        shutil.rmtree(parent.path)
        other = configure("cgan_mlp", "digits", epochs=1, **TINY, **SMALL)
        RunFolder.create(tmp_path / "runs", other).path.rename(parent.path)
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=sentence.replace("NAME", re.escape(parent.config.name))):
        train(config, runs_dir=tmp_path / "runs", track=False)
    assert not (tmp_path / "runs" / config.name).exists()


def test_a_checkpoint_of_another_epoch_is_damaged(parent: Run) -> None:
    tensors, _ = parent.folder.load_tensors("checkpoint.safetensors")
    parent.folder.save_tensors("checkpoint.safetensors", tensors, {"epoch": 1})
    config = configure("cgan_mlp", "digits", parent=parent.config, epochs=3, **TINY, **SMALL)
    with pytest.raises(UserError, match=r"is damaged: it is not of the run's last epoch$"):
        load_parent(config, RunOptions())


# The command


def test_the_command_goes_on_with_all_that_is_not_said_and_show_and_mlflow_name_the_parent(
    parent: Run, called: Callable[..., Done], tracking_uri: str
) -> None:
    from mlflow import MlflowClient

    parent_id = sync(parent.folder, tracking_uri)
    name = parent.path.name
    done = called(command, "--from", name, "--epochs", "4", "--quick-metrics", "--tracking-uri", tracking_uri)
    assert (done.code, done.err) == (0, "")
    assert f"going on from {name}, after its epoch 2\n" in done.out
    (child,) = [folder for folder in list_run_folders("runs") if folder.name != name]
    wanted = configure("cgan_mlp", "digits", parent=parent.config, epochs=4, **TINY, **SMALL)
    assert child.config() == wanted
    assert json.loads((child.path / "config.json").read_text())["config"]["parent"] == parent.config.identity
    assert child.checkpoint_epoch() == 4

    shown = called(show, child.name).out.splitlines()
    assert f"parent     {name}, after its epoch 2" in shown
    again = called(command, *shlex.split(shown[-1])[3:], "--no-tracking")
    assert again.out.startswith(f"already trained, here: runs/{child.name}")

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("gan-benchmark").experiment_id
    (run,) = client.search_runs([experiment], f"tags.folder = '{child.name}'")
    assert (run.data.tags["parent"], run.data.tags["parent_run_id"]) == (name, parent_id)
    assert "parent" not in client.get_run(parent_id).data.tags


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "NAME has done 2 epochs already, and --epochs counts them; give more than 2, such as --epochs 4"),
        ("--epochs 4 --seed 3", "--from goes on with the seed of its run, 0; leave --seed and --seeds out"),
        ("--epochs 4 --seeds 0 1", "--from goes on with the seed of its run, 0; leave --seed and --seeds out"),
        (
            "--epochs 4 --generator-widths 12 8",
            "the networks are not those of NAME: the generator's layers.3.weight is 8×12 here and 64×12 there "
            "(--generator-widths is 12 8, not 12)",
        ),
        (
            "--epochs 4 --conditioning projection",
            "the networks are not those of NAME: the discriminator's layers.0.weight is 10×64 here and 10×74 there "
            "(--conditioning is projection, not embedding)",
        ),
    ],
)
def test_what_cannot_go_on_is_refused_in_one_sentence(
    parent: Run, called: Callable[..., Done], words: str, sentence: str
) -> None:
    done = called(command, "--from", parent.path.name, *words.split(), "--no-tracking")
    assert done == (2, "", f"error: {sentence.replace('NAME', parent.path.name)}\n")
    assert [folder.name for folder in list_run_folders("runs")] == [parent.path.name]


def test_a_run_of_a_plugin_needs_the_plugin(parent: Run, called: Callable[..., Done]) -> None:
    other = replace(parent.config, variant="residual_gan", plugins=(f"mine.py:{64 * '0'}",))
    folder = RunFolder.create("runs", other)
    done = called(command, "--from", folder.name, "--epochs", "4")
    assert done.code == 2
    assert done.err == (
        f"error: runs/{folder.name} was made with the plugin mine.py, and a run brings no code of its own; give it "
        "with --plugin mine.py\n"
    )


def test_a_run_that_only_mlflow_has_keeps_no_checkpoint(
    parent: Run, called: Callable[..., Done], tracking_uri: str
) -> None:
    sync(parent.folder, tracking_uri)
    shutil.rmtree(parent.path)
    done = called(command, "--from", parent.path.name, "--epochs", "4", "--tracking-uri", tracking_uri)
    why = "and it keeps no checkpoint, from which to go on"
    assert done == (2, "", f"error: only MLflow has {parent.path.name}, {why}\n")


def test_a_run_that_does_not_exist_is_told(parent: Run, called: Callable[..., Done]) -> None:
    done = called(command, "--from", parent.path.name[:-1], "--epochs", "4")
    assert done.code == 2
    assert done.err.startswith(f"error: there is no run {parent.path.name[:-1]!r} in runs")
    assert f"did you mean {parent.path.name!r}?" in done.err
