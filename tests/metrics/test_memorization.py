"""Copies are noticed, and fresh examples are not taken for copies."""

import math

import pytest
import torch
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.memorization import Memorization, memorization, nearest_of_class
from tests.tensors import normal


def memorized(fake: Tensor, classes: Tensor, train: Tensor, test: Tensor) -> Memorization:
    near, usual = (nearest_of_class(points, classes, train, classes) for points in (fake, test))
    return memorization(near, classes, usual, classes)


def test_memorization_of_copies_of_fresh_examples_and_of_what_is_far() -> None:
    classes = torch.arange(2).repeat_interleave(400)
    train, test, fresh = (normal(seed, 800, 3) + 50 * classes[:, None] for seed in (1, 2, 3))

    def measured(fake: Tensor) -> tuple[float, float]:
        found = memorized(fake, classes, train, test)
        return found.probability, found.copies

    assert measured(train) == pytest.approx((1, 1))
    probability, copies = measured(fresh)
    assert probability == pytest.approx(0.5, abs=0.05)
    assert copies < 0.03
    assert measured(fresh + 20) == pytest.approx((0, 0))
    assert measured(test)[0] == pytest.approx(0.5)


def test_memorization_looks_within_the_class() -> None:
    """A copy of a training example of another class is no copy."""
    classes = torch.arange(2).repeat_interleave(100)
    train, test = normal(1, 200, 3) + 50 * classes[:, None], normal(2, 200, 3) + 50 * classes[:, None]
    assert memorized(train.flip(0), classes, train, test).probability == 0


def test_nearest_training_example_by_hand() -> None:
    train, labels = torch.tensor([[0], [10], [200]], dtype=torch.uint8), torch.tensor([0, 0, 1])
    points, classes = torch.tensor([[4.0], [199.0], [9.0], [1.0]]), torch.tensor([0, 1, 0, 7])
    torch.testing.assert_close(
        nearest_of_class(points, classes, train, labels), torch.tensor([16.0, 1.0, 1.0, math.inf])
    )


def test_memorization_of_no_samples_cannot_be_measured() -> None:
    distances, classes = torch.rand(10, generator=torch.Generator().manual_seed(0)), torch.zeros(10, dtype=torch.long)
    for near, of in ((distances[:0], classes[:0]), (distances, classes + 1)):
        found = memorization(near, of, distances, classes)
        for figure in ("probability", "copies"):
            with pytest.raises(Unmeasurable, match="no class"):
                getattr(found, figure)


@pytest.mark.parametrize("leaked", [0, 5, 15, 20, 900])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_nothing_but_copies_are_all_copies_whatever_part_of_the_test_split_is_in_training(
    leaked: int, shift: float
) -> None:
    classes = torch.zeros(1000, dtype=torch.long)
    train, test = (normal(seed, 1000, 8, dtype=torch.float32) + shift for seed in (1, 2))
    test[:leaked] = train[:leaked]
    for fakes in (train, train.flip(0), train + 1e-4 * normal(3, 1000, 8, dtype=torch.float32)):
        found = memorized(fakes, classes, train, test)
        assert (found.copies, found.probability) == (1, 1)
    # Those in training are copies; the others are as far as fresh examples are, of which a hundredth is told so.
    found = memorized(test, classes, train, test)
    assert round(1000 * found.copies) == leaked + (1001 - leaked) // 100


def test_a_copy_is_at_distance_zero_whatever_the_rows_beside_it() -> None:
    for dimensions in (2, 64, 784):
        train = normal(1, 300, dimensions, dtype=torch.float32) + 10
        zeros = torch.zeros(300, dtype=torch.long)
        for rows in (1, 7, 300):
            assert not nearest_of_class(train[:rows], zeros[:rows], train, zeros).any()
        # As far as a number of float32 can be told from the next one is a copy; a hundredth of a deviation is none.
        assert not nearest_of_class(train * (1 + 1e-7), zeros, train, zeros).any()
        assert nearest_of_class(train + 0.01, zeros, train, zeros).all()


@pytest.mark.long
@pytest.mark.parametrize(("fresh", "rank"), [(99, 1), (150, 1), (198, 1), (199, 2), (1000, 10)])
def test_a_fresh_example_is_told_a_copy_once_in_a_hundred_times_at_most(fresh: int, rank: int) -> None:
    """By hand: of k + 1 distances any one is as likely to be the last, so it is among the j nearest in j / (k + 1)."""
    wanted = rank / (fresh + 1)
    assert wanted <= 0.01
    zeros = torch.zeros(fresh, dtype=torch.long)
    called, repeats, each = 0, 4000, 50
    for usual, near in zip(normal(1, repeats, fresh).abs(), normal(2, repeats, each).abs(), strict=True):
        called += memorization(near, zeros[:each], usual, zeros).copies
    # Samples of one repeat share a threshold: the deviation of a repeat's share is about the share itself.
    error = wanted * math.sqrt((1 / rank + 1 / (each * wanted)) / repeats)
    assert called / repeats == pytest.approx(wanted, abs=4 * error)


def test_a_class_without_distances_is_left_out_of_memorization() -> None:
    near, classes = torch.tensor([1.0, 1.0, 3.0]), torch.tensor([0, 0, 1])
    usual, test_classes = torch.tensor([2.0, torch.inf] + 99 * [2.0]), torch.tensor([0, 0] + 99 * [1])
    found = memorization(near, classes, usual, test_classes)
    assert (found.probability, found.copies) == (0, 0)


def test_a_sample_as_far_as_the_nearest_of_a_hundred_is_a_copy_and_a_farther_one_is_not() -> None:
    usual, zeros = 2.0 + torch.arange(99), torch.zeros(99, dtype=torch.int64)
    for distance, copies in ((1.9, 1), (2.0, 1), (2.1, 0)):
        near = torch.full((3,), distance)
        assert memorization(near, zeros[:3], usual, zeros).copies == copies
    assert memorization(usual, zeros, usual, zeros).probability == 0.5


def test_with_fewer_than_99_fresh_examples_no_sample_is_told_a_copy() -> None:
    zeros = torch.zeros(200, dtype=torch.int64)
    for leaked in (0, 101):  # test examples that are in training do not count
        usual = torch.cat((torch.zeros(leaked), torch.ones(98)))
        found = memorization(zeros[:3].float(), zeros[:3], usual, zeros[: len(usual)])
        assert found.probability == 1
        with pytest.raises(Unmeasurable, match=r"99 test examples of a class .* no class has more than 98"):
            assert found.copies
