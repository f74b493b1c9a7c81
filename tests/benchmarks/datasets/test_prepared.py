"""Prepared images are kept for the next start, and whatever happened to the files, the images are right."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.datasets import Split, checksum_of, prepared
from benchmarks.datasets.prepared import Allocate, Images, make_key, prepare, without_colour

KEY = make_key("some files")


class Maker:
    """Makes six images and counts how often."""

    def __init__(self, seed: int = 0) -> None:
        self.made = 0
        self.pixels = np.random.default_rng(seed).integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)

    def __call__(self, allocate: Allocate) -> Images:
        self.made += 1
        data = allocate(self.pixels.shape)
        data[:] = self.pixels
        return Images(data, np.arange(6) % 2, 4, ("a", "b"), ("a note",))


@pytest.fixture
def maker() -> Maker:
    return Maker()


def assert_right(images: Images, maker: Maker) -> None:
    assert np.array_equal(images.data, maker.pixels)
    train, test = images.splits()
    assert train.labels.tolist() == [0, 1, 0, 1]
    assert test.labels.tolist() == [0, 1]
    assert (images.class_names, images.notes) == (("a", "b"), ("a note",))


def test_images_are_made_once_and_read_back(tmp_path: Path, maker: Maker, capsys: pytest.CaptureFixture) -> None:
    first, second = (prepare(tmp_path / "new" / "set", KEY, maker) for _ in range(2))
    assert maker.made == 1
    for images in (first, second):
        assert_right(images, maker)
    assert first.checksum == second.checksum
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"set.npy", "set.json"}
    assert capsys.readouterr().err == ""


def test_names_with_dots_are_told_apart(tmp_path: Path) -> None:
    for name, seed in (("my.first", 1), ("my.second", 2)):
        prepare(tmp_path / name, KEY, Maker(seed))
    for name, seed in (("my.first", 1), ("my.second", 2)):
        assert_right(prepare(tmp_path / name, KEY, again := Maker(seed)), again)
        assert again.made == 0


def test_splits_share_one_array(tmp_path: Path, maker: Maker) -> None:
    for images in (prepare(tmp_path / "set", KEY, maker) for _ in range(2)):
        train, test = images.splits()
        assert train.data.untyped_storage().data_ptr() == test.data.untyped_storage().data_ptr()


def test_changes_to_the_images_stay_in_memory(tmp_path: Path, maker: Maker) -> None:
    for images in (prepare(tmp_path / "set", KEY, maker) for _ in range(2)):
        images.splits()[0].data.zero_()
    assert_right(prepare(tmp_path / "set", KEY, maker), maker)
    assert maker.made == 1


def test_other_sources_make_other_images(tmp_path: Path, maker: Maker, capsys: pytest.CaptureFixture) -> None:
    prepare(tmp_path / "set", KEY, Maker(1))
    assert_right(prepare(tmp_path / "set", make_key("other files"), maker), maker)
    assert maker.made == 1
    assert capsys.readouterr().err == ""


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda npy, json: flip(npy),
        lambda npy, json: npy.write_bytes(npy.read_bytes()[:-5]),
        lambda npy, json: npy.write_bytes(b""),
        lambda npy, json: npy.write_bytes(b"<html>"),
        lambda npy, json: json.write_bytes(json.read_bytes()[:-5]),
        lambda npy, json: json.write_text("[]"),
        lambda npy, json: json.write_text(json.read_text().replace('"train": 4', '"train": 3')),
        lambda npy, json: json.write_text(json.read_text().replace('"labels": [0', '"labels": [1')),
        lambda npy, json: np.save(npy, np.array([{"code": 1}], dtype=object), allow_pickle=True),
    ],
)
def test_damaged_files_are_made_again_and_that_is_said(
    tmp_path: Path, maker: Maker, damage: Callable[[Path, Path], object], capsys: pytest.CaptureFixture
) -> None:
    prepare(tmp_path / "set", KEY, maker)
    damage(tmp_path / "set.npy", tmp_path / "set.json")
    for _ in range(2):
        assert_right(prepare(tmp_path / "set", KEY, maker), maker)
    assert maker.made == 2
    assert f"the prepared images of set are damaged in {tmp_path} (" in capsys.readouterr().err


def test_where_nothing_can_be_written_images_are_in_memory_and_that_is_said(
    tmp_path: Path, maker: Maker, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert_right(prepare(tmp_path / "file" / "set", KEY, maker), maker)
    assert "cannot be kept" in capsys.readouterr().err

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert_right(prepare(tmp_path / "set", KEY, maker), maker)
    assert "No space left on device; they are prepared again at the next start" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", full)
    assert_right(prepare(tmp_path / "set", KEY, maker), maker)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken(allocate: Allocate) -> Images:
        allocate((2, 3, 4, 5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "set", KEY, broken)
    assert list(tmp_path.iterdir()) == []


def test_grey_images_need_one_channel(tmp_path: Path) -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (2500, 1, 2, 2), dtype=np.uint8), 3, axis=1)
    assert np.array_equal(without_colour(grey, np.empty), grey[:, :1])
    grey[2400, 2, 1, 1] ^= 1
    assert without_colour(grey, np.empty) is grey

    def make(allocate: Allocate) -> Images:
        data = allocate((4, 3, 2, 2))
        data[:] = 9
        return Images(without_colour(data, allocate), None, 3, ())

    for _ in range(2):
        images = prepare(tmp_path / "set", KEY, make)
        assert images.data.shape == (4, 1, 2, 2)
        assert [split.labels for split in images.splits()] == [None, None]
        assert torch.equal(images.splits()[0].data, torch.full((3, 1, 2, 2), 9, dtype=torch.uint8))
    assert {path.name for path in tmp_path.iterdir()} == {"set.npy", "set.json"}


def test_pages_that_are_let_go_come_back(tmp_path: Path) -> None:
    with prepared._allocation(tmp_path / "mine") as allocate:
        array = allocate((3000, 1, 8, 8))
        wanted = np.arange(array.size, dtype=np.uint8).reshape(array.shape)
        array[:] = wanted
        prepared.let_go(array)
        assert np.array_equal(array, wanted)
        prepared.let_go(wanted)  # not mapped
        assert wanted[-1, 0, -1, -1] == (array.size - 1) % 256


def test_a_checksum_in_parts_is_that_of_the_whole() -> None:
    data = torch.randint(256, (2500, 1, 4, 4), dtype=torch.uint8)
    parts = []
    found = checksum_of(Split(data, None), after_part=lambda: parts.append(1))
    assert len(parts) == 3
    whole = hashlib.sha256(b"torch.uint8 (2500, 1, 4, 4)\n" + data.numpy().tobytes()).hexdigest()
    assert found == whole
