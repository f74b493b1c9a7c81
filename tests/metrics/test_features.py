"""The pinned classifiers: as good as their files say, the function that was trained, and nothing else in the files."""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load, published
from benchmarks.evaluation.classifiers import (
    PINNED_SEEDS,
)
from metrics.base import Unmeasurable
from metrics.features import (
    FEATURE_COUNT,
    PINNED,
    BadExtractor,
    Channelwise,
    Classifier,
    Extractor,
    load_extractor,
    pinned_path,
    read_extractor,
    save_extractor,
)

LEAST_ACCURACY = {"mnist": 0.994, "fashion_mnist": 0.925, "digits": 0.97}


PINS = [(name, seed) for name in LEAST_ACCURACY for seed in PINNED_SEEDS]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DatasetConfig("digits"))


@pytest.mark.parametrize(("name", "seed"), PINS)
def test_a_pinned_extractor_is_small_and_tells_what_it_is(name: str, seed: int) -> None:
    path = pinned_path(name, seed)
    assert path.stat().st_size < 700_000
    extractor = load_extractor(name, seed)
    assert (extractor.name, extractor.seed) == (name, seed)
    assert extractor.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert extractor.accuracy >= LEAST_ACCURACY[name]
    assert {"dataset", "checksum", "architecture", "recipe", "torch"} <= set(extractor.facts)
    assert all(not parameter.requires_grad for parameter in extractor.classifier.parameters())


def test_nothing_else_lies_beside_the_pinned_extractors() -> None:
    assert {path.stem for path in PINNED.iterdir()} == {f"{name}-{seed}" for name, seed in PINS}


@pytest.mark.parametrize("seed", PINNED_SEEDS)
def test_digits_are_read_as_well_as_the_file_says(digits: Dataset, seed: int) -> None:
    as_good_as_it_says(load_extractor("digits", seed), digits)


@pytest.mark.long
@pytest.mark.parametrize("seed", PINNED_SEEDS)
def test_mnist_is_read_as_well_as_the_file_says(mnist_dir: Path, seed: int) -> None:
    as_good_as_it_says(load_extractor("mnist", seed), load(DatasetConfig("mnist"), mnist_dir))


@pytest.mark.long
@pytest.mark.skipif(
    published._find_installed(published.fashion_mnist.row) is None, reason="needs the package dataset-fashion-mnist"
)
def test_fashion_mnist_is_read_as_well_as_the_files_say(tmp_path: Path) -> None:
    dataset = load(DatasetConfig("fashion_mnist"), tmp_path)
    for seed in PINNED_SEEDS:
        as_good_as_it_says(load_extractor("fashion_mnist", seed), dataset)


def as_good_as_it_says(extractor: Extractor, dataset: Dataset) -> None:
    test = dataset.test
    features, classes, _ = extractor.read(test.images(slice(None)))
    assert (classes == test.labels).double().mean().item() == pytest.approx(extractor.accuracy, abs=2 / len(test))
    assert extractor.facts["checksum"] == dataset.checksum
    assert features.shape == (len(test), FEATURE_COUNT)
    # Statistics were taken over training images, of the same distribution as these.
    standardized = extractor.standardize(features)
    assert standardized.mean(0).abs().max() < 0.3
    assert 0.8 < standardized.std(0).median() < 1.2


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 16, 24)])
def test_one_architecture_serves_every_shape(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    trained = Classifier(shape, 7, batch_norm=True)
    images = torch.rand(40, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    trained(images)  # moves the running statistics away from 0 and 1
    fused, expected = trained.fused(), trained.eval()(images)
    features, logits = fused(images)
    assert features.shape == (40, FEATURE_COUNT)
    assert logits.shape == (40, 7)
    torch.testing.assert_close(features, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, expected[1], rtol=1e-4, atol=1e-5)
    assert not any("norm" in name for name in fused.state_dict())


def test_features_and_logits_in_chunks_are_those_of_the_whole(digits: Dataset) -> None:
    extractor, images = load_extractor("digits"), digits.test.images(slice(0, 300))
    features, logits = extractor.features_and_logits(images)
    one_by_one = [extractor.classifier(image[None]) for image in images[::60]]
    torch.testing.assert_close(features[::60], torch.cat([f for f, _ in one_by_one]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits[::60], torch.cat([c for _, c in one_by_one]), rtol=1e-4, atol=1e-4)
    assert extractor.features_and_logits(images[:0])[0].shape == (0, FEATURE_COUNT)
    with pytest.raises(ValueError, match=r"takes images of \(1, 8, 8\), not \(1, 28, 28\)"):
        extractor.features_and_logits(torch.zeros(1, 1, 28, 28))


def test_dead_units_are_dropped() -> None:
    extractor = load_extractor("digits")
    deviation = extractor.deviation.clone()
    deviation[3:5] = 0
    standardized = replace(extractor, deviation=deviation).standardize(torch.ones(2, FEATURE_COUNT))
    assert standardized.shape == (2, FEATURE_COUNT - 2)
    assert standardized.isfinite().all()


def test_standardized_features_of_the_training_images_have_mean_0_and_deviation_1(digits: Dataset) -> None:
    extractor = load_extractor("digits")
    features = extractor.standardize(extractor.features_and_logits(digits.train.images(slice(None)))[0]).double()
    torch.testing.assert_close(features.mean(0), torch.zeros(features.shape[1]).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(0), torch.ones(features.shape[1]).double(), atol=1e-3, rtol=0)


def test_a_unit_is_dead_below_a_thousandth_of_the_largest_deviation() -> None:
    extractor = load_extractor("digits")
    deviation = torch.full((FEATURE_COUNT,), 1.1e-3).double()
    deviation[0], deviation[1] = 1.0, 0.9e-3
    assert replace(extractor, deviation=deviation).standardize(torch.ones(2, FEATURE_COUNT)).shape == (
        2,
        FEATURE_COUNT - 1,
    )


@pytest.mark.parametrize("deviation", [0.0, 1e-8])
def test_a_classifier_that_takes_all_training_images_for_the_same_measures_nothing(deviation: float) -> None:
    """Without a unit left every distance would be 0, and units that differ by rounding alone would be all of it."""
    mean, deviations = torch.ones(FEATURE_COUNT), torch.full((FEATURE_COUNT,), deviation)
    blind = replace(load_extractor("digits"), mean=mean, deviation=deviations)
    with pytest.raises(Unmeasurable, match="takes all training images for the same"):
        blind.standardize(torch.ones(2, FEATURE_COUNT))


def test_an_extractor_moves_to_a_device_as_a_copy(digits: Dataset) -> None:
    extractor, images = load_extractor("digits"), digits.test.images(slice(0, 6))
    moved = extractor.to("cpu")
    assert moved.classifier is not extractor.classifier
    torch.testing.assert_close(moved.features_and_logits(images), extractor.features_and_logits(images))
    assert torch.equal(moved.mean, extractor.mean)
    assert torch.equal(moved.deviation, extractor.deviation)
    stack, moved_stack = Channelwise(extractor, 3), Channelwise(extractor, 3).to("cpu")
    assert torch.equal(moved_stack.read(images.view(2, 3, 8, 8))[1], stack.read(images.view(2, 3, 8, 8))[1])


def test_the_first_seed_is_meant_where_none_is_named() -> None:
    assert load_extractor("digits").seed == PINNED_SEEDS[0] == 0
    assert pinned_path("digits") == pinned_path("digits", 0)


def test_a_stack_is_read_channel_by_channel(digits: Dataset) -> None:
    extractor = load_extractor("digits")
    images = digits.test.images(slice(0, 90))
    stacks = images.view(30, 3, 8, 8)
    features, classes, _ = Channelwise(extractor, 3).read(stacks)
    single, single_classes, _ = extractor.read(images)
    torch.testing.assert_close(features, single.view(30, 3 * FEATURE_COUNT))
    assert torch.equal(classes, single_classes.view(30, 3) @ torch.tensor([100, 10, 1]))
    standardized = Channelwise(extractor, 3).standardize(features)
    torch.testing.assert_close(standardized[:, :FEATURE_COUNT], extractor.standardize(single.view(30, 3, -1)[:, 0]))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "some-0.safetensors"
    save(path, Classifier((1, 8, 8), 3))
    return path


def save(path: Path, classifier: Classifier, **facts: object) -> None:
    facts = {"name": "some", "seed": 0, "accuracy": 0.5, "shape": [1, 8, 8], "classes": 3, **facts}
    save_extractor(path, classifier, torch.zeros(FEATURE_COUNT), torch.ones(FEATURE_COUNT), facts)


def test_the_same_weights_make_the_same_bytes(written: Path) -> None:
    before = written.read_bytes()
    save(written, read_extractor(written).classifier)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def with_header(data: bytes, change: Callable[[dict], None]) -> bytes:
    """The file with another header."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def retold(data: bytes, **changes: object) -> bytes:
    """The file with other facts in its header."""

    def change(header: dict) -> None:
        header["__metadata__"]["extractor"] = json.dumps(json.loads(header["__metadata__"]["extractor"]) | changes)

    return with_header(data, change)


def with_tensor(data: bytes, name: str, value: Tensor) -> bytes:
    tensors = safetensors.torch.load(data) | {name: value}
    length = struct.unpack("<Q", data[:8])[0]
    return safetensors.torch.save(tensors, metadata=json.loads(data[8 : 8 + length])["__metadata__"])


DAMAGE = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "a pickle": lambda data: b"\x80\x04\x95" + data[3:],
    "a header of 2^63 bytes": lambda data: struct.pack("<Q", 2**63) + data[8:],
    "other tensors": lambda data: safetensors.torch.save({"weight": torch.zeros(3)}),
    "no facts": lambda data: safetensors.torch.save(safetensors.torch.load(data)),
    "one tensor too many": lambda data: with_tensor(data, "more", torch.zeros(1)),
    "not a number": lambda data: with_tensor(data, "head.bias", torch.full((3,), torch.nan)),
    "half precision": lambda data: with_tensor(data, "head.bias", torch.zeros(3, dtype=torch.float16)),
    "statistics of other features": lambda data: with_tensor(data, "statistics.mean", torch.zeros(3)),
    "negative deviation": lambda data: with_tensor(data, "statistics.deviation", -torch.ones(FEATURE_COUNT)),
    "a shape that no memory holds": lambda data: retold(data, shape=[3, 10**6, 10**6]),
    "another shape": lambda data: retold(data, shape=[3, 8, 8]),
    "two sides": lambda data: retold(data, shape=[8, 8]),
    "a side of no pixel": lambda data: retold(data, shape=[1, 0, 8]),
    "one class": lambda data: retold(data, classes=1),
    "more classes than there are": lambda data: retold(data, classes=10_001),
    "one weight that is not a number": lambda data: with_tensor(data, "head.bias", torch.tensor([0, torch.nan, 0])),
    "one negative deviation": lambda data: with_tensor(
        data, "statistics.deviation", torch.ones(FEATURE_COUNT).index_fill(0, torch.tensor([3]), -1.0)
    ),
    "classes that are no number": lambda data: retold(data, classes="many"),
    "a type with a long name": lambda data: with_header(
        data, lambda header: header["head.bias"].update(dtype=5000 * "x")
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_file_is_told_in_one_sentence(written: Path, damage: str) -> None:
    written.write_bytes(DAMAGE[damage](written.read_bytes()))
    with pytest.raises(BadExtractor) as told:
        read_extractor(written)
    sentence = str(told.value)
    assert sentence.startswith(f"{written} is not an extractor of this project, or is damaged (")
    assert sentence.endswith("train it again with python -m benchmarks.extractors")
    assert "\n" not in sentence
    assert len(sentence) < len(str(written)) + 400


@pytest.mark.parametrize("damage", ["two sides", "a side of no pixel", "one class", "more classes than there are"])
def test_what_a_file_says_of_its_network_is_looked_at_before_one_is_made(written: Path, damage: str) -> None:
    written.write_bytes(DAMAGE[damage](written.read_bytes()))
    with pytest.raises(BadExtractor, match="its shape or its number of classes is out of range"):
        read_extractor(written)


def test_a_missing_and_a_huge_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadExtractor, match=r"none\.safetensors cannot be read: No such file"):
        read_extractor(tmp_path / "none.safetensors")
    huge = tmp_path / "huge.safetensors"
    with open(huge, "wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadExtractor, match="1099511627776 bytes, and at most 16777216 are expected"):
        read_extractor(huge)
