"""Manifolds and the distances below them against the definitions, written out."""

import math

import pytest
import torch
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.neighbours import (
    class_balls,
    inside_class,
    k_smallest,
    manifold,
    neighbourhood,
    squared_distances,
    squared_radii,
)
from tests.tensors import normal


def slow_neighbourhood(fake: Tensor, real: Tensor) -> tuple[float, ...]:
    def radius(points: Tensor, i: int, k: int) -> float:
        others = sorted((points[i] - points[j]).norm().item() for j in range(len(points)) if j != i)
        return others[k - 1]

    def within(x: Tensor, centre: Tensor, reach: float) -> bool:
        return (x - centre).norm().item() <= reach

    n, m = len(fake), len(real)
    three, five = [radius(real, i, 3) for i in range(m)], [radius(real, i, 5) for i in range(m)]
    own = [radius(fake, j, 3) for j in range(n)]
    precision = sum(any(within(x, real[i], three[i]) for i in range(m)) for x in fake) / n
    recall = sum(any(within(y, fake[j], own[j]) for j in range(n)) for y in real) / m
    density = sum(within(x, real[i], five[i]) for x in fake for i in range(m)) / (5 * n)
    coverage = sum(any(within(x, real[i], five[i]) for x in fake) for i in range(m)) / m
    return precision, recall, density, coverage


def test_neighbourhood_agrees_with_the_definitions() -> None:
    fake, real = normal(1, 40, 3) * 0.7 + 0.4, normal(2, 35, 3)
    assert neighbourhood(fake, manifold(real)) == pytest.approx(slow_neighbourhood(fake, real), rel=1e-9)


def test_precision_and_recall_are_not_swapped() -> None:
    """Of two far clusters of real samples, the fakes know one: precise, but half is not recalled."""
    real = torch.cat([normal(1, 100, 2), normal(2, 100, 2) + 1000])
    one = neighbourhood(normal(3, 200, 2), manifold(real))
    assert one.precision > 0.85
    assert one.recall == pytest.approx(0.5, abs=0.15)
    assert one.coverage == pytest.approx(0.5, abs=0.15)


def test_radii_do_not_count_a_point_as_its_own_neighbour() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [7.0]])
    first, second = squared_radii(line, (1, 2))
    assert first.tolist() == [1, 1, 4, 0, 0]
    assert second.tolist() == [9, 4, 9, 16, 16]


def test_radii_of_points_that_lie_on_each_other_are_not_below_0() -> None:
    points = 100 + torch.rand(50, 50, generator=torch.Generator().manual_seed(0))
    (radii,) = squared_radii(points.repeat(6, 1), (3,))
    assert (radii >= 0).all()


def test_radii_of_too_few_points_are_infinite() -> None:
    (three,) = squared_radii(normal(1, 3, 2), (3,))
    assert three.tolist() == [math.inf] * 3
    assert squared_radii(normal(1, 0, 2), (3, 5))[0].shape == (0,)


def test_squared_distances_are_never_negative() -> None:
    x = normal(1, 50, 8, dtype=torch.float32) + 30
    distances = squared_distances(x, x)
    assert distances.min() >= 0
    torch.testing.assert_close(distances, torch.cdist(x.double(), x.double()).square().float(), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("columns", [5, 64, 191, 192, 257, 1000])
def test_the_smallest_of_each_row_are_those_of_topk(columns: int) -> None:
    values = normal(1, 20, columns, dtype=torch.float32)
    values[:, 1] = values[:, 0]
    values[0, 2:4] = torch.inf
    assert torch.equal(k_smallest(values, 3), values.topk(3, largest=False, sorted=True).values)
    assert torch.equal(k_smallest(values[:, ::2], 2), values[:, ::2].topk(2, largest=False, sorted=True).values)


def test_inside_class_asks_for_the_samples_own_class() -> None:
    real = torch.cat([normal(1, 50, 2), normal(2, 50, 2) + 100])
    balls = class_balls(real, torch.arange(2).repeat_interleave(50))
    near_first = normal(3, 20, 2) * 0.2
    assert inside_class(near_first, torch.zeros(20, dtype=torch.long), balls).all()
    assert not inside_class(near_first, torch.ones(20, dtype=torch.long), balls).any()
    assert not inside_class(near_first, torch.full((20,), 5), balls).any()
    assert not inside_class(normal(3, 20, 2) + 50, torch.zeros(20, dtype=torch.long), balls).any()


@pytest.mark.parametrize("few", [1, 2, 3])
def test_a_class_of_fewer_than_four_examples_or_of_equal_ones_has_no_balls(few: int) -> None:
    points, classes = normal(1, 20 + few, 2), torch.tensor([0] * 20 + [1] * few)
    with pytest.raises(Unmeasurable, match=f"class 1 has only {few} real examples"):
        class_balls(points, classes)
    points, classes = torch.cat([points[:20], torch.ones(9, 2)]), torch.tensor([0] * 20 + [2] * 9)
    with pytest.raises(Unmeasurable, match="all real examples of class 2 are the same"):
        class_balls(points, classes)
    # A class that real data do not have at all is none that is missing.
    assert [len(points) for points, _ in class_balls(points[:20], classes[:20] + 1)] == [0, 20]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fewer_examples_than_neighbours_have_no_manifold(count: int) -> None:
    with pytest.raises(Unmeasurable, match=f"only {count} real examples"):
        manifold(normal(1, count, 2))
    with pytest.raises(Unmeasurable, match=f"only {count} samples"):
        neighbourhood(normal(1, count, 2), manifold(normal(2, 10, 2)))
    assert neighbourhood(normal(1, 6, 2), manifold(normal(1, 6, 2))).coverage == 1


@pytest.mark.parametrize("value", [0.0, 0.3, -7.7])
def test_examples_that_are_all_the_same_have_no_manifold(value: float) -> None:
    with pytest.raises(Unmeasurable, match="all real examples are the same"):
        manifold(torch.full((50, 33), value) + 1e-7 * normal(1, 50, 33, dtype=torch.float32))
