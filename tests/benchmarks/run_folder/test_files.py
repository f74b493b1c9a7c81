"""Files are whole or absent whatever happens, and nothing hostile is followed or believed."""

import errno
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.run_folder.folder import CHECKPOINT, JOURNAL, STATUS, RunFolder, list_run_folders
from tests.run_folders import CONFIG, child, line
from variants.recipe import UserError

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, pipes and links of a POSIX system")


@posix
def test_files_survive_kills_at_any_moment_whole(folder: RunFolder):
    numbers = iter(range(10**9))

    def act() -> None:
        number = next(numbers)
        folder.write_json("facts.json", {"n": [number] * 5000})
        folder.append({"epoch": 1 + max((x["epoch"] for x in folder.lines()[-1:]), default=0), "curves": {"a": number}})

    seen = 0
    for kill in range(12):
        pid = child(act)
        # It has begun, however busy the machine is; then it may be anywhere.
        while len(folder.lines()) <= seen:
            time.sleep(0.001)
        time.sleep(0.005 * kill)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        epochs = [read["epoch"] for read in folder.lines()]
        assert epochs == list(range(1, len(epochs) + 1))
        assert len(epochs) >= seen
        seen = len(epochs)
        if folder.facts():
            assert len(folder.facts()["n"]) == 5000
            assert len(set(folder.facts()["n"])) == 1
    assert seen


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_leaves_what_was_there(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    folder.append(line(1))
    folder.write_json("facts.json", {"a": 1})
    folder.save_checkpoint({"w": torch.ones(3)}, {}, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        for write in (
            lambda: folder.append(line(2)),
            lambda: folder.write_json("facts.json", {"a": 2}),
            lambda: folder.save_checkpoint({"w": torch.zeros(3)}, {}, 2),
        ):
            with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
                write()
    assert folder.facts() == {"a": 1}
    assert folder.load_checkpoint()[1] == {"epoch": 1}
    assert folder.lines()[0] == line(1)
    folder.truncate(1)
    folder.append(line(2))
    assert folder.lines() == [line(1), line(2)]


def test_a_folder_that_was_deleted_is_not_begun_anew(folder: RunFolder):
    import shutil

    shutil.rmtree(folder.path)
    for write in (lambda: folder.append(line(1)), lambda: folder.set_status("FINISHED"), lambda: folder.truncate(0)):
        with pytest.raises(UserError, match="cannot write"):
            write()
    assert not folder.path.exists()


def test_a_file_where_the_runs_should_be_is_refused(tmp_path: Path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        RunFolder.create(tmp_path / "runs", CONFIG)
    with pytest.raises(UserError, match="cannot read the runs"):
        list_run_folders(tmp_path / "runs")


@pytest.mark.parametrize(
    "name", ["../secret", "samples/../../secret", "/etc/passwd", "", ".", "a\0b", "linked", "in/secret"]
)
@posix
def test_no_name_leads_out_of_the_folder(folder: RunFolder, tmp_path: Path, name: str):
    (tmp_path / "secret").write_text("{}")
    (folder.path / "linked").symlink_to(tmp_path / "secret")
    (folder.path / "in").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of the run folder"):
        folder.read_json(name)
    with pytest.raises(UserError, match="leads out of the run folder"):
        folder.write_json(name, {"overwritten": True})
    assert (tmp_path / "secret").read_text() == "{}"


@posix
def test_links_in_circles_pipes_and_giants_are_refused_at_once(folder: RunFolder, tmp_path: Path):
    (folder.path / STATUS).symlink_to(folder.path / STATUS)
    os.mkfifo(folder.path / "facts.json")
    with open(folder.path / "environment.json", "wb") as giant:
        giant.truncate(2**34)
    (folder.path / "samples").symlink_to(tmp_path)
    (tmp_path / "epoch_001.png").write_bytes(b"")
    for read, why in (
        (folder.status, "through a link"),
        (folder.facts, "is not a plain file"),
        (folder.environment, "larger than"),
    ):
        with pytest.raises(UserError, match=why):
            read()
    assert folder.pictures() == {}


@pytest.mark.parametrize(
    "hostile", [b"[" * 100_000, b"\xff", b'{"a": "\\ud800"}', b"", b"[1]", b'"text"', b'{"state": "GONE"}', b"1e999"]
)
def test_hostile_json_is_refused_with_one_sentence(folder: RunFolder, hostile: bytes):
    (folder.path / STATUS).write_bytes(hostile)
    with pytest.raises(UserError) as refused:
        folder.status()
    assert str(refused.value).startswith(f"{folder.path / STATUS} is damaged: ")
    assert len(str(refused.value)) < len(str(folder.path)) + 250


pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b'{"epoch":', b"1", b"}", b"\n", b'"curves":', b"{", b'"a":', b"NaN", b",", b"[", b'"', b"\0", b"-"]
    ),
)


@given(data=st.lists(pieces, max_size=12).map(b"".join))
def test_whatever_the_files_hold_reading_them_gives_a_value_or_a_refusal(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
):
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    for name, read in (
        (JOURNAL, folder.lines),
        (STATUS, folder.status),
        ("config.json", folder.config),
        ("reference.json", folder.reference),
        (CHECKPOINT, lambda: folder.load_tensors(CHECKPOINT)),
        (CHECKPOINT, folder.checkpoint_epoch),
    ):
        (folder.path / name).write_bytes(data)
        with suppress(UserError):
            read()
