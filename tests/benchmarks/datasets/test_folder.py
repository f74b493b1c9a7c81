"""A person's own images, whatever state their folder is in."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load
from benchmarks.datasets.decoding import read_images
from tests.datasets_on_disk import write_folder
from variants.recipe import UserError


def own(path: Path, **options: int | str) -> Dataset:
    return load(DatasetConfig(f"folder:{path}", **options))


def test_images_are_resized_and_every_fifth_is_for_testing(tmp_path: Path) -> None:
    write_folder(tmp_path, ("b", "a", "c"), count=12)
    dataset = own(tmp_path)
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.spec.shape == (3, 32, 32)
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]  # the images 1, 6 and 11 of each
    assert dataset.train.labels.bincount().tolist() == [9, 9, 9]
    assert own(tmp_path, image_size=16).spec.shape == (3, 16, 16)
    assert own(tmp_path, image_size=16).checksum != dataset.checksum
    assert own(tmp_path, image_size=16).extractor != dataset.extractor  # each is judged by a classifier of its own


def test_a_square_image_of_the_right_size_is_kept_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    for index, name in enumerate(("a/0", "a/1", "b/0", "b/1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[index]).save(tmp_path / f"{name}.png")
    dataset = own(tmp_path)
    assert torch.equal(dataset.train.data.permute(0, 2, 3, 1), torch.from_numpy(pixels[[0, 2]]))
    assert torch.equal(dataset.test.data.permute(0, 2, 3, 1), torch.from_numpy(pixels[[1, 3]]))


def test_the_middle_of_a_wide_image_is_taken(tmp_path: Path) -> None:
    write_folder(tmp_path, count=2)
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 200
    Image.fromarray(pixels).save(tmp_path / "cats" / "0.png")
    assert set(own(tmp_path, image_size=10).train.data[0].flatten().tolist()) == {200}


def test_images_are_grey_only_where_all_are(tmp_path: Path) -> None:
    write_folder(tmp_path, mode="L")
    Image.open(tmp_path / "cats" / "0.png").convert("RGB").save(tmp_path / "cats" / "0.png")
    assert own(tmp_path).spec.shape == (1, 32, 32)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "cats" / "0.png")
    assert own(tmp_path).spec.shape == (3, 32, 32)


def test_transparency_and_rotation_are_understood(tmp_path: Path) -> None:
    write_folder(tmp_path, count=2)
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "dogs" / "0.png")  # invisible
    assert set(own(tmp_path, image_size=8).train.data[1].flatten().tolist()) == {255}

    turned = Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 8, axis=1).repeat(4, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 3  # to be shown upside down
    turned.save(tmp_path / "cats" / "0.png", exif=exif)
    assert own(tmp_path, image_size=8).train.data[0, 0, 0, 0] == 255


def test_each_trouble_has_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"which folder\? --dataset folder:PATH"):
        load(DatasetConfig("folder"))
    with pytest.raises(UserError, match=r"which folder\? --dataset folder:PATH"):
        load(DatasetConfig("folder:"))
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        own(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"has no images and no folders in it beside 1 file .txt; it needs"):
        own(tmp_path)
    write_folder(tmp_path, ("a",), count=1)
    with pytest.raises(UserError, match="/a has 1 images; a set needs at least 2, one to train and one to test"):
        own(tmp_path)
    write_folder(tmp_path, ("a",))
    write_folder(tmp_path, ("b",), count=1)
    with pytest.raises(UserError, match="/b has 1 images; a class needs at least 2"):
        own(tmp_path)
    write_folder(tmp_path, ("b",), count=2)
    with pytest.raises(UserError, match="--image-size of a folder is 4 to 512, as its classifier needs, not 20000"):
        own(tmp_path, image_size=20_000)
    monkeypatch.setattr("benchmarks.datasets.folder.MOST_BYTES", 1000)
    with pytest.raises(UserError, match="do not fit in memory; choose a smaller --image-size"):
        own(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"]
)
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    write_folder(tmp_path)
    (tmp_path / "dogs" / "3.png").write_bytes(content)
    with pytest.raises(UserError, match=r"dogs/3.png cannot be read as an image .*; repair it, or remove it"):
        own(tmp_path)


def test_half_an_image_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / "dogs" / "3.png"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UserError, match=r"dogs/3.png cannot be read as an image"):
        own(tmp_path)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_unread(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    write_folder(tmp_path)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "cats" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")))
    with pytest.raises(UserError, match=r"cats/0.png has more than 89,478,485 pixels"):
        own(tmp_path)


def test_links_that_lead_out_are_not_followed_and_that_is_said(tmp_path: Path) -> None:
    root, outside = tmp_path / "own", tmp_path / "outside"
    write_folder(root)
    write_folder(outside, ("secret",))
    before = own(root)
    (root / "secret").symlink_to(outside / "secret")
    (root / "cats" / "more.png").symlink_to(outside / "secret" / "0.png")
    (root / "dogs" / "readme.txt").write_text("not an image")
    (root / "dogs" / ".hidden.png").write_text("not an image either")
    after = own(root)
    assert after.class_names == ("cats", "dogs")
    assert after.checksum == before.checksum
    assert before.notes == ()
    assert [note.partition(": ")[2] for note in after.notes] == [
        "1 links that lead out of own",
        "1 links that lead out of own",
        "1 files that are not images by their name",
    ]


# ---- without labels


def images_in(*folders: Path) -> dict[str, np.ndarray]:
    """The pixels of each file, by its path."""
    return {str(path): np.asarray(Image.open(path)) for folder in folders for path in sorted(folder.glob("*.png"))}


@pytest.mark.parametrize("inside", [".", "img_align_celeba"])
def test_images_without_class_folders_have_no_labels(tmp_path: Path, inside: str) -> None:
    write_folder(tmp_path / "own", (inside,), count=12)
    dataset = own(tmp_path / "own", image_size="20x24")
    assert dataset.spec.classes is None
    assert dataset.modes is dataset.train.labels is dataset.test.labels is None
    assert dataset.class_names == ()
    assert "has no class folders: its images have no labels" in dataset.notes[0]
    every = list(images_in(tmp_path / "own" / inside).values())
    assert torch.equal(dataset.test.data, torch.from_numpy(np.stack(every[1::5])).permute(0, 3, 1, 2))
    assert len(dataset.train) == 9
    assert dataset.checksum == own(tmp_path / "own", image_size="20x24").checksum


def test_a_single_folder_beside_images_is_left_out(tmp_path: Path) -> None:
    write_folder(tmp_path, (".", "more"), count=6)
    dataset = own(tmp_path)
    assert len(dataset.train) + len(dataset.test) == 6
    assert any(note.endswith("the only folder, more, beside images") for note in dataset.notes)


def test_images_beside_class_folders_are_left_out(tmp_path: Path) -> None:
    write_folder(tmp_path, (".", "a", "b"), count=6)
    dataset = own(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert len(dataset.train) + len(dataset.test) == 12
    assert any(note.endswith("6 images beside the class folders") for note in dataset.notes)


def test_the_folder_of_the_datasets_is_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path, ("a", "b"))
    (tmp_path / "data").mkdir()
    assert own(tmp_path).class_names == ("a", "b")


# ---- splits


@pytest.mark.parametrize(("training", "testing"), [("train", "test"), ("Train", "valid"), ("train", "val")])
def test_folders_of_training_and_testing_are_the_splits(tmp_path: Path, training: str, testing: str) -> None:
    write_folder(tmp_path / training, ("a", "b"), count=7)
    write_folder(tmp_path / testing, ("a", "b"), count=3)
    labelled = own(tmp_path)
    assert labelled.class_names == ("a", "b")
    assert labelled.train.labels.tolist() == [0] * 7 + [1] * 7
    assert labelled.test.labels.tolist() == [0] * 3 + [1] * 3
    assert labelled.notes == ()
    for folder in (training, testing):
        for name in ("a", "b"):
            for path in (tmp_path / folder / name).iterdir():
                path.rename(tmp_path / folder / f"{name}-{path.name}")
            (tmp_path / folder / name).rmdir()
    unlabelled = own(tmp_path)
    assert (unlabelled.spec.classes, len(unlabelled.train), len(unlabelled.test)) == (None, 14, 6)
    assert torch.equal(unlabelled.train.data, labelled.train.data)
    assert torch.equal(unlabelled.test.data, labelled.test.data)


def test_of_two_folders_for_testing_one_is_taken(tmp_path: Path) -> None:
    for name, count in (("train", 5), ("test", 3), ("val", 2)):
        write_folder(tmp_path / name, ("a", "b"), count=count)
    dataset = own(tmp_path)
    assert len(dataset.test) == 6
    assert [note.partition(": ")[2] for note in dataset.notes] == ["the folder val"]


def test_splits_of_different_classes_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ("a", "b"))
    write_folder(tmp_path / "test", ("a", "c"))
    with pytest.raises(UserError, match=r"/train and .*/test need the same class folders, or none; .* has b, c"):
        own(tmp_path)
    write_folder(tmp_path / "test", ("b",))
    (tmp_path / "test" / "c").rename(tmp_path / "c")
    (tmp_path / "c").rename(tmp_path.parent / "c")
    for path in (tmp_path / "test" / "b").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"/test/b has no images; it needs at least one"):
        own(tmp_path)


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    write_folder(tmp_path, ("train", "test", "plane"))
    assert own(tmp_path).class_names == ("plane", "test", "train")


# ---- rectangles, and what is kept


def test_images_become_rectangles(tmp_path: Path) -> None:
    write_folder(tmp_path, count=4)
    dataset = own(tmp_path, image_size="28x40")
    assert dataset.spec.shape == (3, 28, 40)
    with pytest.raises(UserError, match="--image-size of a folder is 4 to 512, as its classifier needs, not 28x600"):
        own(tmp_path, image_size="28x600")


def test_images_are_read_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "own", count=4)
    reads = []
    monkeypatch.setattr(
        "benchmarks.datasets.folder.read_images", lambda paths, size: reads.append(1) or read_images(paths, size)
    )
    first = own(tmp_path / "own")
    assert own(tmp_path / "own").checksum == first.checksum
    assert len(reads) == 1
    own(tmp_path / "own", image_size=16)
    own(tmp_path / "own")
    assert len(reads) == 2
    Image.new("RGB", (20, 24), "red").save(tmp_path / "own" / "cats" / "2.png")
    assert own(tmp_path / "own").checksum != first.checksum
    (tmp_path / "own" / "cats" / "2.png").rename(tmp_path / "own" / "cats" / "9.png")
    assert own(tmp_path / "own").checksum != first.checksum
    (tmp_path / "own" / "cats" / "note.txt").touch()
    assert "1 files that are not images" in own(tmp_path / "own").notes[0]
    assert len(reads) == 5
