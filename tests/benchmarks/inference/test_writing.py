"""Samples in files: the same as a run generates, in little memory, and whole or not there at all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.inference.writing import refuse_full, write_array, write_images
from variants import UserError

COUNT, PART = 25, 10
IMAGES = torch.rand(COUNT, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
LABELS = torch.arange(COUNT) % 3
NAMES = ("ant", "bee", "cat")

Batches = Iterator[tuple[Tensor, Tensor | None]]


def batches(images: Tensor = IMAGES, labels: Tensor | None = LABELS) -> Batches:
    for start in range(0, COUNT, PART):
        part = slice(start, start + PART)
        yield images[part], None if labels is None else labels[part]


def test_an_array_has_every_sample_and_its_label_in_their_order(own_folder: Path) -> None:
    assert write_array(Path("new/all.npy"), COUNT, batches(), "float32") == [
        Path("new/all.npy"),
        Path("new/all-labels.npy"),
    ]
    assert torch.equal(torch.from_numpy(np.load("new/all.npy")), IMAGES)
    assert np.load("new/all-labels.npy").tolist() == LABELS.tolist()
    assert write_array(Path("bytes.npy"), COUNT, batches(labels=None)) == [Path("bytes.npy")]
    read = np.load("bytes.npy")
    assert (read.dtype, read.shape) == (np.uint8, IMAGES.shape)
    # To half a level of 255.
    torch.testing.assert_close(torch.from_numpy(read) / 127.5 - 1, IMAGES, rtol=0, atol=0.5 / 127.5 + 1e-6)


def test_images_are_numbered_in_the_folders_of_their_classes(own_folder: Path) -> None:
    assert write_images(Path("made"), COUNT, batches(), NAMES) == [Path("made")]
    files = sorted(Path("made").rglob("*"), key=lambda path: path.name)
    found = [path for path in files if path.is_file()]
    assert [path.name for path in found] == [f"{number:05d}.png" for number in range(COUNT)]
    assert [path.parent.name for path in found] == [NAMES[label] for label in LABELS.tolist()]
    write_array(Path("made.npy"), COUNT, batches())
    pixels = np.stack([np.asarray(Image.open(path)) for path in found])
    assert np.array_equal(pixels.transpose(0, 3, 1, 2), np.load("made.npy"))


def test_captions_lie_in_the_folder_of_their_images(own_folder: Path) -> None:
    captions = torch.stack([LABELS, LABELS], dim=1)
    write_images(Path("made"), COUNT, batches(IMAGES[:, :1], captions))
    assert np.array_equal(np.load("made/labels.npy"), captions)
    assert len(list(Path("made").iterdir())) == COUNT + 1
    with Image.open("made/00007.png") as image:
        assert (image.mode, image.size) == ("L", (5, 4))


@pytest.mark.parametrize("write", [write_array, write_images])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), "nan"])
def test_an_interrupted_command_leaves_nothing(
    write: Callable[..., object], error: type[BaseException] | OSError | str, own_folder: Path
) -> None:
    def stopped() -> Batches:
        yield IMAGES[:PART], LABELS[:PART]
        # It is under way, and nothing has its name.
        assert [path.name[0] for path in own_folder.iterdir()] == ["."]
        if isinstance(error, str):
            yield torch.full_like(IMAGES[:PART], torch.nan), LABELS[:PART]
        raise error

    expected = KeyboardInterrupt if error is KeyboardInterrupt else UserError
    with pytest.raises(expected) as raised:
        write(Path("made.npy"), COUNT, stopped())
    assert list(own_folder.iterdir()) == []
    if error == "nan":
        assert str(raised.value) == "the generator makes samples that are not finite, so made.npy is not written"
    elif error is not KeyboardInterrupt:
        assert str(raised.value) == "cannot write made.npy: No space left on device"


@pytest.mark.parametrize("write", [write_array, write_images])
def test_a_part_is_written_before_the_next_one_is_made(write: Callable[..., object], own_folder: Path) -> None:
    """Otherwise the samples would have to be in memory together."""
    alive: list[int] = []
    kept = 0

    def counted() -> Batches:
        nonlocal kept
        for images, labels in batches():
            part = images.clone()
            alive.append(kept)
            kept += 1
            yield part, labels
            del part
            kept -= 1

    write(Path("made.npy"), COUNT, counted())
    assert alive == [0, 0, 0]


@pytest.mark.parametrize("write", [write_array, write_images])
def test_what_another_process_wrote_meanwhile_stays(write: Callable[..., object], own_folder: Path) -> None:
    def overtaken() -> Batches:
        yield from batches()
        Path("made.npy").write_text("theirs")

    with pytest.raises(UserError, match=r"^cannot write made\.npy: File exists$"):
        write(Path("made.npy"), COUNT, overtaken())
    assert Path("made.npy").read_text() == "theirs"
    assert [path.name for path in own_folder.iterdir()] == ["made.npy"]


def test_what_the_disk_has_no_room_for_is_refused(own_folder: Path) -> None:
    refuse_full(Path("new/folder/all.npy"), 1)
    with pytest.raises(UserError, match=r"^cannot write all\.npy: it takes 1\.05e\+06 GiB, and .* GiB are free$"):
        refuse_full(Path("all.npy"), 2**50)
    assert list(own_folder.iterdir()) == []
