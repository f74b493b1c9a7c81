"""A run folder is written whole; a damaged file is named, and a hostile one refused."""

import errno
import json
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.run_folder.folder import CHECKPOINT, DAMAGED, JOURNAL, PREVIOUS, STATUS, RunFolder, list_run_folders
from benchmarks.run_folder.tensors import pack, split_header
from reports.reading import runs as reported
from variants.recipe import Recipe, UserError

CONFIG = RunConfig(
    variant="cgan_mlp",
    recipe=Recipe(generator_widths=(256, 512), conditioning="embedding"),
    dataset=DatasetConfig("digits"),
    seed=3,
    checksum="ab" * 32,
    extractor="cd" * 32,
)
posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, pipes and links of a POSIX system")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", CONFIG)


def line(epoch: int, **curves: float) -> dict:
    return {"epoch": epoch, "curves": {"generator_loss": 1.5, **curves}, "timing": {"time": 1e9 + epoch}}


# What was run


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


# The journal


def test_infinities_and_nan_come_back_exactly(folder: RunFolder):
    folder.append({"epoch": 1, "curves": {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 0.1 + 0.2}})
    (read,) = folder.lines()
    assert read["curves"]["a"] == math.inf
    assert read["curves"]["b"] == -math.inf
    assert math.isnan(read["curves"]["c"])
    assert read["curves"]["d"] == 0.1 + 0.2


def test_a_journal_cut_at_any_byte_loses_at_most_its_last_line_and_goes_on(folder: RunFolder):
    for epoch in range(3):
        folder.append(line(epoch))
    whole, lines = (folder.path / JOURNAL).read_bytes(), folder.lines()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        (folder.path / JOURNAL).write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert folder.lines() == lines[:kept], cut
        folder.append(line(7))
        assert folder.lines() == [*lines[:kept], line(7)], cut


@pytest.mark.parametrize(
    "torn",
    [
        b"\0" * 50,
        b"\0" * 50 + b"\n",
        b'{"epoch":3}\0\0\n',
        b'{"epoch":3,"cur\n',
        b"\xff\xfe\n",
        b'{"epoch":Infinity}\n',
    ],
)
def test_what_a_power_cut_leaves_behind_the_last_line_is_dropped(folder: RunFolder, torn: bytes):
    folder.append(line(1))
    with open(folder.path / JOURNAL, "ab") as file:
        file.write(torn)
    assert folder.lines() == [line(1)]
    folder.append(line(2))
    assert folder.lines() == [line(1), line(2)]


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "[]",
        "{}",
        '{"epoch": -1}',
        '{"epoch": 1.5}',
        '{"epoch": true}',
        '{"epoch": 1}',
        '{"epoch": 2, "curves": 5}',
        '{"epoch": 2, "curves": {"a": "1"}}',
        '{"epoch": 2, "curves": {"a": null}}',
        '{"epoch": 2, "curves": {"\\ud800": 1}}',
        '{"epoch": 2, "curves": {"a": 1' + "0" * 400 + "}}",
    ],
)
def test_damage_before_the_last_line_is_said_with_its_place(folder: RunFolder, bad: str):
    good = [json.dumps({"epoch": epoch}) for epoch in (0, 1, 3)]
    (folder.path / JOURNAL).write_text("\n".join([*good[:2], bad, good[2]]) + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged: line 3: "):
        folder.lines()


@pytest.mark.parametrize(
    "wrong", [{"epoch": 1}, {"epoch": 0}, {"epoch": 2, "curves": {"a": "x"}}, {"curves": {}}, {"epoch": 2.0}]
)
def test_a_line_that_could_not_be_read_back_is_not_written(folder: RunFolder, wrong: dict):
    folder.append(line(1))
    with pytest.raises(ValueError, match="not a line of the journal"):
        folder.append(wrong)
    assert folder.lines() == [line(1)]


def test_truncating_cuts_later_epochs_and_nothing_else(folder: RunFolder):
    for epoch in range(5):
        folder.append(line(epoch, a=math.nan if epoch == 0 else 1.0))
    with open(folder.path / JOURNAL, "ab") as file:
        file.write(b'{"epoch":9')
    before = (folder.path / JOURNAL).read_bytes().splitlines(keepends=True)
    folder.truncate(2)
    assert (folder.path / JOURNAL).read_bytes() == b"".join(before[:3])
    folder.truncate(-1)
    assert folder.lines() == []


# Kills, full disks, two writers


def child(act: Callable[[], None]) -> int:
    """Starts a process that acts again and again until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                act()
        finally:
            os._exit(1)
    return pid


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


# Checkpoints


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


def test_a_checkpoint_is_the_file_that_the_library_would_write_but_for_its_checksum(folder: RunFolder):
    kinds = (*(torch.float64, torch.float32, torch.float16, torch.bfloat16), *(torch.int64, torch.int32, torch.int16))
    kinds += (torch.int8, torch.uint8, torch.bool)
    tensors = {f"{len(kinds) - place} {kind}": torch.arange(3).to(kind) for place, kind in enumerate(kinds)}
    folder.save_tensors("generator.safetensors", tensors, {"x": 1})
    header, body = split_header((folder.path / "generator.safetensors").read_bytes())
    theirs, their_body = split_header(safetensors.torch.save(tensors, {"state": '{"x": 1}'}))
    del header["__metadata__"]["sha256"]
    assert (header, bytes(body)) == (theirs, bytes(their_body))


def test_the_tensors_of_a_checkpoint_are_written_from_where_they_lie() -> None:
    tensor = torch.zeros(1000)
    *_, body = pack({"w": tensor}, {})
    tensor += 1
    assert torch.equal(torch.frombuffer(bytearray(body), dtype=torch.float32), torch.ones(1000))


def test_every_damaged_byte_of_a_checkpoint_is_noticed(folder: RunFolder):
    folder.save_checkpoint({"w": torch.arange(4.0), "b": torch.zeros(2)}, {"x": 1.25}, 3)
    whole = (folder.path / CHECKPOINT).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (folder.path / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            folder.load_tensors(CHECKPOINT)
    for cut in range(len(whole)):
        (folder.path / CHECKPOINT).write_bytes(whole[:cut])
        with pytest.raises(UserError, match="is damaged"):
            folder.load_tensors(CHECKPOINT)


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


# Folders of strangers


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
    assert reported.read(folder).state == state


@posix
def test_linked_folders_are_not_listed_as_runs(folder: RunFolder, tmp_path: Path):
    (tmp_path / "runs" / "linked").symlink_to(folder.path)
    assert [f.name for f in list_run_folders(tmp_path / "runs")] == [folder.name]


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
