"""A run folder keeps its config, status and checkpoints, and has one writer."""

import math
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.run_folder.folder import CHECKPOINT, DAMAGED, PREVIOUS, RunFolder, list_run_folders
from reports.reading import runs as reported
from tests.run_folders import CONFIG, child, line
from variants.recipe import Recipe, UserError

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, pipes and links of a POSIX system")


def test_a_config_comes_back_as_it_was_and_the_folder_is_found_again(folder: RunFolder, tmp_path: Path):
    assert folder.config() == CONFIG
    assert folder.path == tmp_path / "runs" / CONFIG.name
    again = RunFolder.create(tmp_path / "runs", CONFIG)
    assert (again.path, again.id) == (folder.path, folder.id)
    begins = [RunFolder.create(tmp_path / name, CONFIG, prefix="0123abcd").id for name in ("other", "third")]
    assert {id_[:8] for id_ in begins} == {"0123abcd"}
    assert len({*begins, folder.id}) == 3
    assert [f.path for f in list_run_folders(tmp_path / "runs")] == [folder.path]


def test_a_config_changed_by_hand_is_refused(folder: RunFolder):
    written = folder.read_json("config.json")
    written["config"]["seed"] = 4
    folder.write_json("config.json", written)
    with pytest.raises(UserError, match="its key does not fit its config"):
        folder.config()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "3"},
        {"seed": True},
        {"variant": 5},
        {"epochs": 3},
        {"recipe": {"epochs": 0}},
        {"recipe": {"no_such": 1}},
        {"recipe": 5},
        {"recipe": {"generator_lr": 10**400}},
        {"dataset": {"name": 5}},
        {"dataset": None},
    ],
)
def test_a_config_that_no_run_has_is_refused_with_one_sentence(folder: RunFolder, change: dict):
    written = folder.read_json("config.json")
    folder.write_json("config.json", {**written, "config": {**written["config"], **change}})
    with pytest.raises(UserError) as refused:
        folder.config()
    assert str(folder.path / "config.json") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_leads_out_of_the_runs_is_never_made_a_folder(tmp_path: Path):
    hostile = RunConfig("../evil", Recipe(), DatasetConfig("digits"), 0, "", "")
    with pytest.raises(UserError, match="cannot be the name of a run folder"):
        RunFolder.create(tmp_path / "runs", hostile)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_done_again_has_another_id_and_nothing_of_the_old_one(folder: RunFolder):
    old = folder.id
    with folder.lock():
        folder.append(line(1))
        folder.set_status("FINISHED", epoch=1)
        folder.write_bytes(folder.picture_name(1), b"picture")
        folder.clear()
        assert folder.in_use()
    assert folder.id != old
    assert (folder.config(), folder.lines(), folder.pictures(), folder.status()) == (CONFIG, [], {}, {"state": "NONE"})


@posix
def test_a_killed_run_lets_go_of_its_folder_and_reads_as_killed(folder: RunFolder):
    def act() -> None:
        with folder.lock():
            folder.set_status("RUNNING", epoch=4)
            time.sleep(60)

    pid = child(act)
    while folder.status() != {"state": "RUNNING", "epoch": 4}:
        time.sleep(0.01)
    with pytest.raises(UserError, match="another process is training into"), folder.lock():
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert folder.status()["state"] == "KILLED"
    assert folder.status()["epoch"] == 4
    with folder.lock():
        folder.set_status("RUNNING", epoch=4)
        assert folder.status()["state"] == "RUNNING"


def test_a_folder_has_one_writer_even_within_a_process(folder: RunFolder):
    with folder.lock(), pytest.raises(UserError), RunFolder(folder.path).lock():
        pass
    with folder.lock():
        pass


def test_a_checkpoint_comes_back_bit_by_bit(folder: RunFolder):
    stacked = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    tensors = {
        "first": stacked[0],
        "second": stacked[1],
        "both": stacked,
        "again": stacked,
        "turned": stacked.T,
        "step": torch.tensor(7),
        "half": torch.tensor([1.5, math.nan], dtype=torch.bfloat16),
        "image": torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "empty": torch.zeros(0, 3),
    }
    folder.save_checkpoint(tensors, {"best": math.inf, "names": ["a"]}, 5)
    loaded, state = folder.load_checkpoint()
    assert state == {"best": math.inf, "names": ["a"], "epoch": 5}
    assert folder.checkpoint_epoch() == 5
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name].nan_to_num(9), tensor.nan_to_num(9)) if tensor.is_floating_point() else True
    assert loaded["step"] == 7


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(folder: RunFolder):
    assert folder.load_checkpoint() is None
    assert folder.checkpoint_epoch() is None
    for epoch in (1, 2, 3):
        folder.save_checkpoint({"w": torch.full((2,), float(epoch))}, {}, epoch)
    (folder.path / CHECKPOINT).write_bytes(b"torn")
    said: list[str] = []
    tensors, state = folder.load_checkpoint(said.append)
    assert (tensors["w"].tolist(), state) == ([2.0, 2.0], {"epoch": 2})
    assert len(said) == 1
    assert "set aside as checkpoint-damaged.safetensors" in said[0]
    assert (folder.path / DAMAGED).read_bytes() == b"torn"
    assert folder.load_checkpoint(said.append)[1] == {"epoch": 2}
    assert len(said) == 1
    (folder.path / PREVIOUS).write_bytes(b"torn too")
    assert folder.load_checkpoint(said.append) is None


def test_a_kill_between_the_two_renames_of_a_checkpoint_loses_one_epoch_at_most(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    folder.save_checkpoint({"w": torch.ones(1)}, {}, 1)
    replace, renames = os.replace, []

    def replace_once(source: Path, target: Path) -> None:
        if renames:
            raise KeyboardInterrupt
        renames.append(replace(source, target))

    monkeypatch.setattr(os, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        folder.save_checkpoint({"w": torch.ones(1)}, {}, 2)
    monkeypatch.undo()
    assert folder.load_checkpoint()[1] == {"epoch": 1}
    assert folder.checkpoint_epoch() == 1


@pytest.mark.parametrize(
    ("cause", "state"),
    [
        ("generator_loss is nan in epoch 3", "FAILED"),
        ("discriminator_loss is -inf in epoch 12", "FAILED"),
        ("[Errno 28] No space left on device", "KILLED"),
        ("MemoryError", "KILLED"),
        ("generator_loss is nan in epoch 3, said a plugin", "KILLED"),
        ({"generator_loss": "is nan in epoch 3"}, "KILLED"),
        (None, "KILLED"),
    ],
)
def test_only_a_loss_that_is_not_finite_has_failed_a_run(folder: RunFolder, cause: object, state: str):
    """Older code wrote FAILED for any end of a run."""
    detail = {} if cause is None else {"cause": cause}
    folder.set_status("FAILED", epoch=3, **detail)
    assert folder.status() == {"state": state, "epoch": 3, **detail}
    assert reported.read_run(folder).state == state


@posix
def test_linked_folders_are_not_listed_as_runs(folder: RunFolder, tmp_path: Path):
    (tmp_path / "runs" / "linked").symlink_to(folder.path)
    assert [f.name for f in list_run_folders(tmp_path / "runs")] == [folder.name]
