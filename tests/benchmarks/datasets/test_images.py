"""The digits of scikit-learn are read as they come with it."""

import numpy as np
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Split, load


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
