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
from tests.datasets_on_disk import write_folder
from variants.recipe import UserError


def own(path: Path, **options: int) -> Dataset:
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
    with pytest.raises(UserError, match="has no folders in it; it needs two or more"):
        own(tmp_path)
    write_folder(tmp_path, ("a",))
    with pytest.raises(UserError, match="has only one folder, a, in it"):
        own(tmp_path)
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
