"""Pruning lists and then removes superfluous files of finished runs, and touches nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.prune import main
from benchmarks.run_folder.folder import RunFolder
from tests.conftest import Done
from variants import Recipe

KEPT = {"config.json", "metrics.jsonl", "status.json", "generator.safetensors", "samples.gif", "losses.png"}


@pytest.fixture
def make(own_folder: Path) -> Callable[..., RunFolder]:
    """Makes run folders with everything that a run of 25 epochs leaves."""

    def make(seed: int, state: str = "FINISHED") -> RunFolder:
        config = RunConfig("cgan_mlp", Recipe(epochs=25), DatasetConfig("digits"), seed, "c" * 64, "e" * 64)
        folder = RunFolder.create("runs", config)
        (folder.path / "samples").mkdir()
        for epoch in range(1, 26):
            (folder.path / folder.picture_name(epoch)).write_bytes(b"p" * 1000)
        for name in ("checkpoint", "checkpoint-previous", "checkpoint-damaged", "generator"):
            (folder.path / f"{name}.safetensors").write_bytes(b"t" * 2**20)
        for name in ("metrics.jsonl", "samples.gif", "losses.png"):
            (folder.path / name).touch()
        folder.set_status(state, epoch=25)
        return folder

    return make


def left(folder: RunFolder) -> set[str]:
    return {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()} - {
        ".lock",
        ".config.lock",
    }


def test_of_a_finished_run_stays_what_is_needed(make: Callable[..., RunFolder], called: Callable[..., Done]) -> None:
    folder = make(0)
    done = called(main, "--yes")
    assert (done.code, done.err) == (0, "")
    # 3 MiB of checkpoints, 24 kB of pictures.
    assert done.out.splitlines() == [f"{folder.name}: checkpoints 3, pictures 24, 3.0 MiB", "removed 3.0 MiB"]
    assert left(folder) == KEPT | {"samples/epoch_025.png"}
    assert called(main, "--yes").out == "there is nothing to remove in runs\n"


def test_milestones_are_kept_where_they_are_wanted(make: Callable[..., RunFolder], called: Callable[..., Done]) -> None:
    folder = make(0)
    called(main, "--yes", "--keep-milestones")
    assert left(folder) == KEPT | {f"samples/epoch_0{epoch}.png" for epoch in ("01", "10", "20", "25")}


def test_nothing_is_removed_without_a_yes(
    make: Callable[..., RunFolder], called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(0)
    before = left(folder)
    assert "remove 27 files, 3.0 MiB? [y/N] \nnothing is removed; --yes does it without asking\n" in called(main).out

    class Terminal:
        def __init__(self, answer: str) -> None:
            self.answer = answer

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.answer

    for answer in ("\n", "n\n", "", "yesterday\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert called(main).code == 0
        assert left(folder) == before
    monkeypatch.setattr("sys.stdin", Terminal("Y\n"))
    called(main)
    assert len(left(folder)) == len(before) - 27


@pytest.mark.parametrize("state", ["KILLED", "FAILED", "RUNNING", "NONE"])
def test_a_run_that_may_go_on_is_left_as_it_is(
    make: Callable[..., RunFolder], called: Callable[..., Done], state: str
) -> None:
    folder, finished = make(0, state), make(1)
    before = left(folder)
    done = called(main, "--yes")
    # Nothing trains it, and no loss of it is told that was not finite.
    shown = "KILLED" if state in ("RUNNING", "FAILED") else state
    assert (
        f"{folder.name} is left as it is: it is not finished ({shown}), and may resume from its checkpoint" in done.out
    )
    assert left(folder) == before
    assert len(left(finished)) < len(before)


def test_a_run_in_use_is_left_as_it_is(make: Callable[..., RunFolder], called: Callable[..., Done]) -> None:
    folder = make(0)
    before = left(folder)
    with folder.lock():
        done = called(main, "--yes")
    assert f"{folder.name} is left as it is: a process is using it\n" in done.out
    assert left(folder) == before


def test_a_run_that_is_started_again_after_the_question_is_left_as_it_is(
    make: Callable[..., RunFolder], called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(0)
    before = left(folder)

    def answered(question: str) -> bool:
        folder.set_status("KILLED", epoch=3)
        return True

    monkeypatch.setattr("benchmarks.prune.confirm", answered)
    done = called(main)
    assert done.code == 1
    assert done.err == f"{folder.name}: it was started again in the meantime\n"
    assert left(folder) == before


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_are_neither_followed_nor_removed(
    make: Callable[..., RunFolder], called: Callable[..., Done], own_folder: Path
) -> None:
    folder, outside = make(0), own_folder / "outside"
    outside.mkdir()
    (outside / "checkpoint.safetensors").write_bytes(b"precious")
    (outside / "epoch_001.png").write_bytes(b"precious")
    for name in ("checkpoint.safetensors", "samples/epoch_001.png"):
        (folder.path / name).unlink()
        (folder.path / name).symlink_to(outside / Path(name).name)
    other = make(1)
    (other.path / "samples").rename(own_folder / "album")
    (other.path / "samples").symlink_to(own_folder / "album")
    (own_folder / "runs" / "linked").symlink_to(make(2).path.rename(own_folder / "elsewhere"))
    called(main, "--yes")
    assert (folder.path / "checkpoint.safetensors").is_symlink()
    assert {path.read_bytes() for path in outside.iterdir()} == {b"precious"}
    assert len(list((own_folder / "album").iterdir())) == 25
    assert (own_folder / "elsewhere" / "checkpoint.safetensors").exists()


def test_a_folder_without_runs_and_one_that_is_damaged_are_told(
    make: Callable[..., RunFolder], called: Callable[..., Done], own_folder: Path
) -> None:
    assert called(main, "--yes").err == "error: cannot read the runs in runs: No such file or directory\n"
    folder = make(0)
    (folder.path / "status.json").write_text("{")
    before = left(folder)
    assert f"{folder.name} is left as it is: runs/{folder.name}/status.json is damaged" in called(main, "--yes").out
    assert left(folder) == before
