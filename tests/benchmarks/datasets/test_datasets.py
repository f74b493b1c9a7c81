"""Every dataset keeps one contract, whatever it is made of, and what is damaged is named."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.config import DatasetConfig
from benchmarks.datasets import (
    DATASETS,
    Captions,
    Dataset,
    Split,
    checksum_of,
    data_folder,
    describe_dataset,
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


def config_of(name: str) -> DatasetConfig:
    return DatasetConfig("folder:own" if name == "folder" else name)


@pytest.fixture(params=sorted(DATASETS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def dataset(name: str, small: Path) -> Dataset:
    return load(config_of(name), small, seed=3)


def rows(split: Split) -> set[bytes]:
    return {example.numpy().tobytes() for example in split.images(slice(0, 2000))}


@contextmanager
def no_global_draws() -> Iterator[None]:
    def states() -> list[bytes]:
        legacy = np.random.get_state()  # noqa: NPY002 - this watches it
        return [torch.random.get_rng_state().numpy().tobytes(), legacy[1].tobytes(), bytes(legacy[2])]

    before = states()
    yield
    assert states() == before


def test_examples_are_what_the_networks_were_told(dataset: Dataset) -> None:
    for split in (dataset.train, dataset.test, dataset.reference):
        batch = split.images(torch.tensor([0, 2, 1]))
        assert batch.dtype == torch.float32
        assert tuple(batch.shape) == (3, *dataset.spec.shape)
        assert not dataset.spec.bounded or (batch.min() >= -1 and batch.max() <= 1)
        assert torch.equal(split.images(slice(0, 3))[[0, 2, 1]], batch)
        with pytest.raises(IndexError):
            split.images(torch.tensor([len(split)]))


def test_conditions_are_labels_or_words_or_nothing(dataset: Dataset) -> None:
    spec = dataset.spec
    for split in (dataset.train, dataset.test, dataset.reference):
        condition = split.condition(slice(None))
        if spec.vocabulary:
            assert condition.dtype == torch.int64
            assert condition.shape[0] == len(split)
            assert condition.ndim == 2
            assert condition.min() >= 0
            assert condition.max() < len(spec.vocabulary)
        elif spec.classes:
            assert condition.dtype == torch.int64
            assert tuple(condition.shape) == (len(split),)
            assert set(condition.tolist()) <= set(range(spec.classes))
            assert len(dataset.class_names) == spec.classes
        else:
            assert condition is None
        if condition is not None:
            assert torch.equal(split.condition(torch.tensor([2, 0])), condition[[2, 0]])


def test_training_and_testing_share_no_example(dataset: Dataset) -> None:
    assert min(len(dataset.train), len(dataset.test)) > 0
    assert not rows(dataset.train) & rows(dataset.test)


def test_the_same_config_and_seed_give_the_same_data(name: str, dataset: Dataset, small: Path) -> None:
    with no_global_draws():
        again = load(config_of(name), small, seed=3)
    assert again.checksum == dataset.checksum == checksum_of(again.train, again.test)
    assert re.fullmatch("[0-9a-f]{64}", dataset.checksum)
    assert all(
        torch.equal(one, other)
        for part in ("train", "test", "reference")
        for one, other in zip(getattr(dataset, part).tensors(), getattr(again, part).tensors(), strict=True)
    )


def test_all_that_a_split_holds_moves_and_counts(dataset: Dataset) -> None:
    moved = dataset.train.to("meta")
    assert type(moved) is type(dataset.train)
    assert {tensor.device.type for tensor in moved.tensors()} == {"meta"}
    assert moved.images(slice(0, 2)).device.type == "meta"
    held = [tensor.clone() for tensor in dataset.train.tensors()]
    for tensor, before in zip(dataset.train.tensors(), held, strict=True):
        tensor.view(-1)[0] += 1
        assert checksum_of(dataset.train, dataset.test) != dataset.checksum
        tensor.copy_(before)


def test_a_dataset_says_how_it_is_judged(name: str, dataset: Dataset) -> None:
    assert dataset.reference_note
    assert dataset.modes is not None
    assert bool(dataset.extractor) == dataset.spec.is_image
    assert (dataset.captions is not None) == bool(dataset.spec.vocabulary)
    assert describe_dataset(name)
    assert "\n" not in describe_dataset(name)


def test_options_that_a_dataset_does_not_read_are_refused(name: str, small: Path) -> None:
    function = DATASETS[name]
    module, _, attribute = function.partition(":")
    takes = getattr(__import__(module, fromlist=[attribute]), attribute).takes
    assert takes <= {f.name for f in fields(DatasetConfig)}
    for field in fields(DatasetConfig):
        if field.metadata and field.name not in takes:
            with pytest.raises(
                UserError, match=f"--{field.name.replace('_', '-')} does not apply to the dataset {name}"
            ):
                load(replace(config_of(name), **{field.name: 5}), small)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown dataset 'mnits'; did you mean 'mnist'"):
        load(DatasetConfig("mnits"))
    with pytest.raises(UserError, match="unknown dataset 'mnist:here'"):
        load(DatasetConfig("mnist:here"))


def test_where_data_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    assert data_folder() == Path("data")
    monkeypatch.setenv("GANBENCH_DATA", "/there")
    assert data_folder() == Path("/there")
    assert data_folder("here") == Path("here")


def test_pixels_are_normalised_to_mean_and_deviation_one_half() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    expected = (torch.arange(256, dtype=torch.float64) / 255 - 0.5) / 0.5
    assert torch.allclose(Split(pixels).images(slice(None)).flatten().double(), expected, atol=1e-7, rtol=0)
    assert Split(pixels).images(torch.tensor([0, 255])).flatten().tolist() == [-1.0, 1.0]
    assert pixels.flatten().tolist() == list(range(256))  # nothing was done in place


def test_checksum_tells_shapes_and_splits_apart() -> None:
    flat, square = torch.arange(4, dtype=torch.uint8), torch.arange(4, dtype=torch.uint8).reshape(2, 2)
    assert len({checksum_of(Split(flat)), checksum_of(Split(square)), checksum_of(Split(flat.to(torch.int8)))}) == 3
    assert checksum_of(Split(flat), Split(square)) != checksum_of(Split(square), Split(flat))


# --- the published formats


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


# --- what is damaged


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


# --- captions and their place in a dataset


def test_only_captions_carry_a_rule(small: Path) -> None:
    assert isinstance(load(DatasetConfig("captions_digits")).captions, Captions)
    assert load(DatasetConfig("digits")).captions is None


# Fewer training examples, and classes that training never sees


def test_fewer_examples_keep_each_class_its_share_and_leave_the_judging_data_whole() -> None:
    whole, few = load(DatasetConfig("digits")), load(DatasetConfig("digits", examples=300))
    assert len(few.train) == 300
    shares = few.train.labels.bincount() - 300 * whole.train.labels.bincount() / len(whole.train)
    assert shares.abs().max() <= 1
    known = {image.numpy().tobytes() for image in whole.train.data}
    assert all(image.numpy().tobytes() in known for image in few.train.data)
    assert few.reference is not None
    assert torch.equal(few.reference.data, whole.reference.data)
    assert torch.equal(few.test.data, whole.test.data)
    assert few.checksum != whole.checksum


def test_dropped_classes_are_the_last_ones_and_only_training_lacks_them() -> None:
    whole, without = load(DatasetConfig("digits")), load(DatasetConfig("digits", dropped_classes=3))
    assert without.train.labels.unique().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(without.train) == int((whole.train.labels < 7).sum())
    assert without.test.labels.unique().tolist() == list(range(10))
    assert without.spec == whole.spec
    assert not without.train.has_labels_of(without.test)
    assert without.test.has_labels_of(without.train)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"examples": 2000}, "--examples 2000 is more than the 899 training examples there are"),
        ({"dropped_classes": 10}, "--dropped-classes is below the 10 classes of digits"),
    ],
)
def test_more_than_there_is_cannot_be_left_out(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load(DatasetConfig("digits", **options))


def test_points_have_no_examples_to_leave_out() -> None:
    with pytest.raises(UserError, match="--examples does not apply to the dataset ring8"):
        load(DatasetConfig("ring8", examples=10))
