"""Published images are read as they were published, and damaged files are named."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.config import DatasetConfig
from benchmarks.datasets import (
    Split,
    images,
    load,
)
from tests.datasets_on_disk import FAMILY, write_all, write_cifar10, write_idx, write_mnist_family
from variants.recipe import UserError


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with small files in the published formats, of every dataset that has files."""
    write_all(tmp_path, monkeypatch)
    return tmp_path


def rows(split: Split) -> set[bytes]:
    return {example.numpy().tobytes() for example in split.images(slice(0, 2000))}


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    bundled = load_digits()
    digits = load(DatasetConfig("digits"))
    testing = np.zeros(len(bundled.target), dtype=bool)
    testing[np.argsort(bundled.target, kind="stable")[1::2]] = True
    for split, chosen in ((digits.train, ~testing), (digits.test, testing)):
        assert torch.equal(split.labels, torch.from_numpy(bundled.target[chosen]))
        back = split.data[:, 0].double() * 16 / 255
        assert np.array_equal(back.round().numpy(), bundled.images[chosen])
        assert split.data.max() == 255


def test_digits_split_keeps_the_share_of_every_class() -> None:
    digits = load(DatasetConfig("digits"))
    assert (len(digits.train), len(digits.test)) == (899, 898)
    train, test = digits.train.labels.bincount(), digits.test.labels.bincount()
    assert ((train - test).abs() <= 1).all()


def test_digits_are_judged_by_images_that_training_never_saw() -> None:
    digits = load(DatasetConfig("digits"))
    assert digits.reference is digits.test
    assert not rows(digits.reference) & rows(digits.train)
    assert "898 real test images, which no variant was trained on" in digits.reference_note


@pytest.mark.parametrize("name", FAMILY)
def test_mnist_family_is_read_as_torchvision_reads_it(name: str, small: Path) -> None:
    from torchvision import datasets

    theirs = getattr(datasets, {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}[name])
    ours = load(DatasetConfig(name), small)
    for split, train in ((ours.train, True), (ours.test, False)):
        expected = theirs(small, train=train)
        assert torch.equal(split.data[:, 0], expected.data)
        assert torch.equal(split.labels, expected.targets)


def test_the_tables_of_what_is_published_are_torchvisions() -> None:
    from torchvision import datasets

    for published, theirs in (
        (images.MNIST, datasets.MNIST),
        (images.FASHION_MNIST, datasets.FashionMNIST),
        (images.KMNIST, datasets.KMNIST),
    ):
        assert list(published.mirrors) == theirs.mirrors
        assert dict(published.archives) == dict(theirs.resources)
        assert published.folder == f"{theirs.__name__}/raw"
    assert list(images.FASHION_MNIST.class_names) == datasets.FashionMNIST.classes
    assert list(images.KMNIST.class_names) == datasets.KMNIST.classes


def test_cifar10_is_read_in_the_order_of_its_records(tmp_path: Path) -> None:
    written = write_cifar10(tmp_path / images.CIFAR10.folder)
    cifar10 = load(DatasetConfig("cifar10"), tmp_path)
    training = [written[f"data_batch_{number}.bin"] for number in range(1, 6)]
    assert np.array_equal(cifar10.train.data.numpy(), np.concatenate([pixels for pixels, _ in training]))
    assert np.array_equal(cifar10.train.labels.numpy(), np.concatenate([labels for _, labels in training]))
    assert np.array_equal(cifar10.test.data.numpy(), written["test_batch.bin"][0])
    assert cifar10.spec.shape == (3, 32, 32)
    assert cifar10.class_names[:2] == ("airplane", "automobile")


def test_real_mnist_is_mnist(mnist_dir: Path) -> None:
    mnist = load(DatasetConfig("mnist"), mnist_dir)
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train.data.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert mnist.reference is mnist.test
    assert load(DatasetConfig("auto"), mnist_dir).checksum == mnist.checksum


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("file", "damage", "why"),
    [
        (IMAGES, lambda content: content[:-1], r"should hold 94,080 values and holds 94,079"),
        (IMAGES, lambda content: content + b"\0", r"should hold 94,080 values and holds 94,081"),
        (IMAGES, lambda content: content[:7], "does not begin as an IDX file of 3 axes does"),
        (IMAGES, lambda content: b"", "does not begin as an IDX file of 3 axes does"),
        (IMAGES, lambda content: gzip.compress(content), "does not begin as an IDX file of 3 axes does"),
        (IMAGES, lambda content: content[:4] + b"\xff" * 12 + content[16:], "holds 94,080"),
        (LABELS, lambda content: content[:8] + b"\x0a" + content[9:], "a label above 9"),
        (LABELS, lambda content: content[:4] + (119).to_bytes(4) + content[8:-1], "119 labels for 120 images"),
    ],
)
def test_a_damaged_idx_file_is_named(small: Path, file: str, damage, why: str) -> None:
    path = small / "FashionMNIST" / "raw" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"{file} is damaged or only half there: .*{why}; delete it"):
        load(DatasetConfig("fashion_mnist"), small)


def test_images_of_another_size_are_named(small: Path) -> None:
    path = small / "KMNIST" / "raw" / "t10k-images-idx3-ubyte"
    write_idx(path, np.zeros((40, 27, 28), np.uint8))
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte is damaged .* its images are 27x28, not 28x28"):
        load(DatasetConfig("kmnist"), small)


def test_one_changed_byte_of_mnist_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / images.MNIST.folder
    write_mnist_family(raw, seed=0)
    right = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in raw.iterdir()}
    monkeypatch.setattr(images, "MNIST", replace(images.MNIST, contents=right))
    load(DatasetConfig("mnist"), tmp_path)
    content = bytearray((raw / IMAGES).read_bytes())
    content[5000] ^= 1
    (raw / IMAGES).write_bytes(content)
    for name in ("mnist", "auto", "stacked_mnist", "captions_mnist"):
        with pytest.raises(UserError, match=f"{IMAGES} is damaged .* its MD5 is not that of the published file"):
            load(DatasetConfig(name), tmp_path)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: content[:-1], "are not whole records of 3,073"),
        (lambda content: b"", "its 0 bytes are not whole records"),
        (lambda content: b"\x0a" + content[1:], "a label above 9"),
    ],
)
def test_a_damaged_cifar10_file_is_named(small: Path, damage, why: str) -> None:
    path = small / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"data_batch_3.bin is damaged or only half there: .*{why}"):
        load(DatasetConfig("cifar10"), small)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x01", b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c"]),
    rest=st.binary(max_size=900),
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, head: bytes, rest: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(head + rest)
    for axes in (1, 3):
        try:
            values = images._read_idx(images.KMNIST, path, axes)
        except UserError:
            continue
        assert values.numel() == len(head + rest) - 4 - 4 * axes
