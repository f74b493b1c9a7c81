"""What every dataset rests on: pixels, checksums, and fewer training examples."""

import pytest
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import (
    Split,
    checksum_of,
    load,
    normalise,
    quantise,
)
from variants.recipe import UserError


def test_pixels_are_normalised_to_mean_and_deviation_one_half() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    expected = (torch.arange(256, dtype=torch.float64) / 255 - 0.5) / 0.5
    assert torch.allclose(Split(pixels).images(slice(None)).flatten().double(), expected, atol=1e-7, rtol=0)
    assert Split(pixels).images(torch.tensor([0, 255])).flatten().tolist() == [-1.0, 1.0]
    assert pixels.flatten().tolist() == list(range(256))  # nothing was done in place


def test_8_bits_and_back_changes_nothing_and_other_values_are_rounded_or_clipped() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(normalise(pixels)), pixels)
    assert quantise(torch.tensor([-3.0, -1 + 0.9 / 255, -1 + 1.1 / 255, 7.0, torch.nan])).tolist() == [0, 0, 1, 255, 0]


def test_checksum_tells_shapes_and_splits_apart() -> None:
    flat, square = torch.arange(4, dtype=torch.uint8), torch.arange(4, dtype=torch.uint8).reshape(2, 2)
    assert len({checksum_of(Split(flat)), checksum_of(Split(square)), checksum_of(Split(flat.to(torch.int8)))}) == 3
    assert checksum_of(Split(flat), Split(square)) != checksum_of(Split(square), Split(flat))


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
