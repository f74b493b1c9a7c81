"""Published images are read as they were published, and damaged files are named before anything is trained."""

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load, published
from benchmarks.evaluation.classifiers import classifier_of, is_trained
from metrics.features import pinned_path
from tests.datasets_on_disk import KINDS, kind_of, row_of, write_idx, write_mnist_family, write_published
from variants.recipe import UserError

MNIST_FAMILY = ("mnist", "fashion_mnist", "kmnist", "emnist", "qmnist")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """Writes a small dataset and loads it: (name, **options) -> Dataset."""

    def write_and_load(name: str, **options: int | str) -> Dataset:
        if not (tmp_path / row_of(name).root / row_of(name).all_files[0]).exists():
            write_published(name, tmp_path, monkeypatch)
        return load(DatasetConfig(name, **options), tmp_path)

    return write_and_load


def items(name: str, root: Path, **arguments: object) -> tuple[np.ndarray, list[int]]:
    """All images, (images, height, width, …), and labels of torchvision's own object."""
    read = kind_of(name)(root / row_of(name).root, **arguments)
    images, labels = zip(*(read[place] for place in range(len(read))), strict=True)
    return np.stack([np.asarray(image) for image in images]), list(labels)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("celeba", "omniglot")])
def test_images_and_labels_are_those_of_torchvision(
    name: str, written: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = written(name)
    if name == "stl10":
        (tmp_path / "stl10_binary" / "unlabeled_X.bin").touch()
        table = [*kind_of(name).train_list[:2], ["unlabeled_X.bin", "d41d8cd98f00b204e9800998ecf8427e"]]
        monkeypatch.setattr(kind_of(name), "train_list", table)
    for split, arguments in zip((ours.train, ours.test), row_of(name).arguments, strict=True):
        pixels, labels = items(name, tmp_path, **arguments)
        pixels = pixels.swapaxes(1, 2) if name == "emnist" else pixels  # theirs lie on their side
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
        assert np.array_equal(split.data.numpy(), pixels)
        assert split.labels.tolist() == labels
        assert split.data.is_contiguous()


def test_class_names_are_those_of_torchvision(written: Callable[..., Dataset]) -> None:
    from torchvision import datasets

    assert written("fashion_mnist").class_names == tuple(datasets.FashionMNIST.classes)
    assert written("kmnist").class_names == tuple(datasets.KMNIST.classes)
    assert written("emnist").class_names == (*"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abdefghnqrt")
    assert written("mnist").class_names == written("svhn").class_names == tuple("0123456789")
    assert written("cifar100").class_names[:2] == ("kind 0", "kind 1")


def test_cifar10_has_the_order_of_its_batches_as_the_binary_version_has(
    written: Callable[..., Dataset], tmp_path: Path
) -> None:
    import pickle

    cifar10 = written("cifar10")
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    batches = [pickle.loads((tmp_path / "cifar-10-batches-py" / name).read_bytes()) for name in names]  # noqa: S301
    records = np.concatenate([batch["data"] for batch in batches[:5]])
    assert np.array_equal(cifar10.train.data.numpy().reshape(-1, 3072), records)
    assert cifar10.train.labels.tolist() == [label for batch in batches[:5] for label in batch["labels"]]
    assert np.array_equal(cifar10.test.data.numpy().reshape(-1, 3072), batches[5]["data"])


def test_the_classes_of_celeba_are_two_of_its_attributes(written: Callable[..., Dataset], tmp_path: Path) -> None:
    celeba = written("celeba")
    lines = (tmp_path / "celeba" / "list_attr_celeba.txt").read_text().splitlines()[2:]
    signs = [[int(sign) > 0 for sign in line.split()[1:]] for line in lines]
    names = [("smiling " if smiling else "") + ("man" if man else "woman") for _, man, smiling, _ in signs]
    assert [celeba.class_names[label] for label in celeba.train.labels] == names[::3]
    assert [celeba.class_names[label] for label in celeba.test.labels] == names[2::3]
    assert celeba.spec.shape == (3, 64, 64)
    first = Image.open(tmp_path / "celeba" / "img_align_celeba" / "000001.jpg")
    square = first.resize((64, 64), Image.Resampling.LANCZOS, box=(0, 20, 178, 198))
    expected = np.asarray(square).transpose(2, 0, 1)
    assert np.array_equal(celeba.train.data[0].numpy(), expected)
    assert written("celeba", image_size="109x89").spec.shape == (3, 109, 89)


def test_omniglot_is_tested_on_other_people_than_it_is_trained_on(
    written: Callable[..., Dataset], tmp_path: Path
) -> None:
    omniglot = written("omniglot", image_size=105)
    assert omniglot.class_names == ("Greek", "Latin", "Atlantean")
    assert omniglot.train.labels.bincount().tolist() == [32, 32, 32]
    assert omniglot.test.labels.bincount().tolist() == [8, 8, 8]
    last = tmp_path / "omniglot-py" / "images_evaluation" / "Atlantean" / "character02" / "0200_20.png"
    assert np.array_equal(omniglot.test.data[-1, 0].numpy(), np.asarray(Image.open(last)).astype(np.uint8) * 255)
    assert written("omniglot").spec.shape == (1, 28, 28)


def test_real_mnist_is_mnist(mnist_dir: Path) -> None:
    mnist = load(DatasetConfig("mnist"), mnist_dir)
    assert mnist.checksum == "731c02e50f07a2fc93cc2c9b0df709507fc27cba0aff0ee3592e75b0849b602e"
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train.data.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert mnist.reference is mnist.test
    assert load(DatasetConfig("auto"), mnist_dir).checksum == mnist.checksum


# ---- sizes


@pytest.mark.parametrize("name", [*KINDS, "digits"])
def test_every_set_of_images_can_be_resized_also_to_rectangles(name: str, written: Callable[..., Dataset]) -> None:
    load_it = written if name in KINDS else lambda name, **options: load(DatasetConfig(name, **options))
    own = load_it(name)
    channels = own.spec.shape[0]
    for asked, shape in ((20, (20, 20)), ("28x40", (28, 40)), ("12x8", (12, 8))):
        resized = load_it(name, image_size=asked)
        assert resized.spec.shape == (channels, *shape)
        assert resized.train.data.dtype == torch.uint8
        assert torch.equal(resized.train.labels, own.train.labels)
        assert resized.checksum != own.checksum
        assert resized.extractor == f"{name}-{shape[0]}x{shape[1]}"
    for asked in (3, 129, "28x200", "2x28"):
        with pytest.raises(UserError, match=rf"^--image-size of {name} is 4 to 128, not {asked}$"):
            load_it(name, image_size=asked)


def test_resizing_keeps_what_is_shown() -> None:
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    image = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 7, np.uint8)])
    wide = published.resize_array(image, (8, 16))  # the middle half of the rows
    assert wide.shape == (3, 8, 16)
    assert (np.diff(wide[0, 0].astype(int)) > 0).all()
    assert abs(wide[1, :, 0].astype(int) - np.linspace(69, 186, 8)).max() < 6
    assert (wide[2] == 7).all()


def test_resized_mnist_is_never_judged_by_the_pinned_classifier(
    written: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    assert pinned_path("mnist").is_file()
    assert is_trained(written("mnist"))
    for asked in (14, "28x40"):
        resized = written("mnist", image_size=asked)
        assert not is_trained(resized)
        assert classifier_of(resized).shape == resized.spec.shape
        assert is_trained(resized)
    same = written("mnist", image_size=28)
    assert (same.extractor, same.checksum) == ("mnist", written("mnist").checksum)


# ---- damaged files

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("file", "damage", "why"),
    [
        (IMAGES, lambda content: content[:-1], "it is no whole IDX file"),
        (IMAGES, lambda content: content + b"\0", "it is no whole IDX file"),
        (IMAGES, lambda content: content[:7], "it is no whole IDX file"),
        (IMAGES, lambda content: b"", "it is no whole IDX file"),
        (IMAGES, lambda content: b"<!DOCTYPE html><html>sign in</html>", "it is no whole IDX file"),
        (IMAGES, lambda content: gzip.compress(content), "it is no whole IDX file"),
        (IMAGES, lambda content: content[:4] + b"\xff" * 12 + content[16:], "it is no whole IDX file"),
        (LABELS, lambda content: content[:8] + b"\x0a" + content[9:], "a label that is none of the 10 classes"),
        (LABELS, lambda content: content[:4] + (119).to_bytes(4) + content[8:-1], "119 labels for 120 images"),
    ],
)
def test_a_damaged_idx_file_is_named(written: Callable[..., Dataset], tmp_path: Path, file: str, damage, why) -> None:
    written("kmnist")
    path = tmp_path / "KMNIST" / "raw" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"{file} is damaged or only half there: .*{why}.*; delete it") as refused:
        written("kmnist")
    assert "\n" not in str(refused.value)


def test_images_of_another_size_are_named(written: Callable[..., Dataset], tmp_path: Path) -> None:
    written("kmnist")
    write_idx(tmp_path / "KMNIST" / "raw" / "t10k-images-idx3-ubyte", np.zeros((40, 27, 28), np.uint8))
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte is damaged .* its images are 28x27x1, not 28x28x1"):
        written("kmnist")


def test_labels_in_place_of_images_are_named(written: Callable[..., Dataset], tmp_path: Path) -> None:
    written("kmnist")
    raw = tmp_path / "KMNIST" / "raw"
    (raw / IMAGES).write_bytes((raw / LABELS).read_bytes())
    with pytest.raises(UserError, match=f"{IMAGES} is damaged .* it has 1 axes, not 3"):
        written("kmnist")


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("kmnist", "emnist", "qmnist", "omniglot")])
def test_one_changed_byte_is_found_where_the_md5_is_known(
    name: str, written: Callable[..., Dataset], tmp_path: Path
) -> None:
    written(name)
    for file in row_of(name).contents(kind_of(name)):
        path = tmp_path / row_of(name).root / file
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(UserError, match=f"{path.name} is damaged .* its MD5 is not that of the published file"):
            written(name)
        path.write_bytes(whole)
    os.utime(path)
    written(name)


def test_a_damaged_mnist_is_found_whoever_reads_it(written: Callable[..., Dataset], tmp_path: Path) -> None:
    written("mnist")
    path = tmp_path / "MNIST" / "raw" / IMAGES
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    for name in ("mnist", "auto", "stacked_mnist", "captions_mnist"):
        with pytest.raises(UserError, match=f"{IMAGES} is damaged .* its MD5 is not that of the published file"):
            load(DatasetConfig(name), tmp_path)


def test_what_torchvision_once_prepared_is_not_read(written: Callable[..., Dataset], tmp_path: Path) -> None:
    """Old versions of torchvision left such files, and it still prefers them to the published ones."""
    before = written("mnist")
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir()
    for file in ("training.pt", "test.pt"):
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)), processed / file)
    os.utime(tmp_path / "MNIST" / "raw" / IMAGES)
    assert written("mnist").checksum == before.checksum


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_an_omniglot_that_was_unpacked_by_half_is_named(
    damage: str, written: Callable[..., Dataset], tmp_path: Path
) -> None:
    written("omniglot")
    image = tmp_path / "omniglot-py" / "images_background" / "Latin" / "character01" / "0100_07.png"
    content = image.read_bytes()
    image.unlink()
    if damage == "short":
        image.write_bytes(content[:50])
    with pytest.raises(UserError, match=r"images_background is damaged .*0100_07.png is not as in images_back"):
        written("omniglot")


def test_a_celeba_that_is_not_there_says_where_to_put_it(written: Callable[..., Dataset], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^CelebA is not complete: there is no .*celeba/img_align_celeba; get it from"):
        load(DatasetConfig("celeba"), tmp_path)
    written("celeba")
    (tmp_path / "celeba" / "identity_CelebA.txt").unlink()
    with pytest.raises(UserError, match=r"^CelebA is not complete: there is no .*identity_CelebA.txt; get it from"):
        written("celeba")


def test_a_face_that_cannot_be_read_is_named(written: Callable[..., Dataset], tmp_path: Path) -> None:
    written("celeba")
    (tmp_path / "celeba" / "img_align_celeba" / "000006.jpg").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"000006.jpg cannot be read as an image"):
        written("celeba")
    (tmp_path / "celeba" / "img_align_celeba" / "000006.jpg").unlink()
    with pytest.raises(UserError, match=r"000006.jpg cannot be read as an image"):
        written("celeba")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x01", b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c"]),
    rest=st.binary(max_size=900),
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, head: bytes, rest: bytes) -> None:
    write_mnist_family(tmp_path / "KMNIST" / "raw", 0)
    (tmp_path / "KMNIST" / "raw" / IMAGES).write_bytes(head + rest)
    try:
        part = row_of("kmnist").read(row_of("kmnist"), tmp_path, 0)
    except UserError:
        return
    assert part.pixels.size == len(head + rest) - 16


def test_a_second_start_does_not_import_torchvision(
    written: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = written("mnist")
    unreadable = replace(row_of("mnist"), kind="no such class")
    monkeypatch.setattr(published.mnist, "row", unreadable)
    assert load(DatasetConfig("mnist"), tmp_path).checksum == first.checksum
