"""What a command writes is whole at any time, and a file that cannot be written is refused without leaving anything."""

import os
from pathlib import Path

import pytest

from benchmarks.cli.output import refuse_unwritable, write_output
from variants.recipe import UserError


def test_a_file_is_written_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "tables.md"
    refuse_unwritable(file)
    assert list(tmp_path.iterdir()) == []
    write_output(file, "Größe\n")
    write_output(file, "anew\n")
    assert [path.name for path in file.parent.iterdir()] == ["tables.md"]
    assert file.read_text() == "anew\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder", "Is a directory"),
        ("file/tables.md", "Not a directory"),
        ("file/new/folder/tables.md", "Not a directory"),
        ("/proc/tables.md", ""),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_with_advice(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=rf"^cannot write {tmp_path / name}: {why}.*; choose another$"):
        refuse_unwritable(tmp_path / name, "choose another")
    with pytest.raises(UserError, match=rf"^cannot write {tmp_path / name}: .*; choose another$"):
        write_output(tmp_path / name, "text", "choose another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str, **_: object) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    (tmp_path / "kept.json").write_text("kept")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"^cannot write .*kept\.json: No space left on device$"):
        write_output(tmp_path / "kept.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert (tmp_path / "kept.json").read_text() == "kept"


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    refuse_unwritable(pipe)
    write_output(pipe, "figures")
    assert os.read(reading, 100) == b"figures"
    os.close(reading)
    assert pipe.is_fifo()
